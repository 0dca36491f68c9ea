"""Start of the fleet from nothing and from its data, and the memory of all its parts (sum of PSS).

Each round makes a state folder, starts the fleet cold, stops it, starts it warm, reads its memory, stops it
and deletes the folder. The environment is there already: `make run` on a fresh machine installs it first.
"""

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fleet.memory import proportional_bytes
from fleet.settings import FleetSettings
from fleet.state import require_running
from fleet.status import gather_status

MIB = 1024 * 1024


def greenledger(*arguments: str) -> float:
    """Run the command; returns seconds."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "fleet.cli", *arguments], check=True, capture_output=True)
    return time.monotonic() - began


def serving(folder: Path, port: int) -> tuple[float, float]:
    """Start; returns seconds until everything is SERVING, and MiB."""
    greenledger("up", "--detach", "--edge-port", str(port), "--state-dir", str(folder))
    record = require_running(FleetSettings.from_environment({}, edge_port=port, state_dir=folder))
    rows = asyncio.run(gather_status(record))
    total = sum(row.memory_bytes or 0 for row in rows)
    total += proportional_bytes(record.supervisor_pid, descendants=False) or 0
    return record.serving_after_s or float("nan"), total / MIB


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--edge-port", type=int, default=14080, help="default 14080")
    arguments = parser.parse_args()
    cold, warm, memory, stop = [], [], [], []
    for _ in range(arguments.rounds):
        folder = Path(tempfile.mkdtemp(prefix="greenledger-bench-"))
        try:
            cold.append(serving(folder, arguments.edge_port)[0])
            greenledger("down", "--state-dir", str(folder))
            seconds, mebibytes = serving(folder, arguments.edge_port)
            warm.append(seconds)
            memory.append(mebibytes)
            stop.append(greenledger("down", "--state-dir", str(folder)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    for name, values, unit in (
        ("cold start to all SERVING", cold, "s"),
        ("warm start to all SERVING (goal: 10 s)", warm, "s"),
        ("stop", stop, "s"),
        ("memory, sum of PSS (goal: 1536 MiB)", memory, "MiB"),
    ):
        print(
            f"{name:42} median {statistics.median(values):7.1f} {unit:4}"
            f" (min {min(values):.1f}, max {max(values):.1f}, rounds {len(values)})"
        )


if __name__ == "__main__":
    main()
