"""Run every benchmark in turn and write what they print to `benchmarks/results/`.

    make bench                       all of them, about a quarter of an hour
    python -m benchmarks saga fleet  some of them

Numbers of a shared machine are noisy: each benchmark runs its sides in turns and prints medians and ratios.
Quote the ratios.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

BENCHMARKS = {
    "interceptor_chain": "an RPC through the whole server chain against a bare grpc.aio method",
    "mutual_tls": "calls between services with mutual TLS and its checks against plain text",
    "client_chain": "a call through the client chain with breaker, retries and discovery, against before",
    "json_edge": "JSON through Envoy to a service against FastAPI behind the same Envoy",
    "eventstore": "event append against the eventsourcing package and a bare insert",
    "capture": "capture of partners' events, one by one and as documents, against parsing and bare appends",
    "merklelog": "the tamper-evident log against the store without it and the bare hashes",
    "messaging": "outbox to applied effect, against a raw producer and consumer",
    "recall_scope": "recall scope and trace-back against a naive recursive query",
    "saga": "durable sagas",
    "checkouts": "checkouts end to end",
    "discovery": "how fast 300 watchers, a gRPC client and Envoy learn of changes, and what it costs control",
    "fleet": "start of the fleet, cold and warm, and its memory",
}
RESULTS = Path(__file__).parent / "results"


def machine() -> str:
    """One line on what this runs on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}, load before: {load}"


def run(name: str) -> tuple[str, bool]:
    """Run one benchmark; its output is shown as it comes and returned."""
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    print(f"\n== {name}: {BENCHMARKS[name]}", flush=True)
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return "".join(lines), process.returncode == 0


def main() -> None:
    """Run what was asked for and write the report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; choose from {', '.join(BENCHMARKS)}")
    began, at = time.monotonic(), datetime.now(UTC)
    report = [f"# Measured on {at:%Y-%m-%d %H:%M} UTC", "", machine(), ""]
    failed = []
    for name in names:
        output, good = run(name)
        failed += [] if good else [name]
        report += [f"## {name}", "", BENCHMARKS[name] + f": `python -m benchmarks.{name}`", ""]
        report += ["```", output.rstrip(), "```", ""]
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{at:%Y-%m-%dT%H%M}.md"
    path.write_text("\n".join(report))
    print(f"\n{path} written after {time.monotonic() - began:.0f} s")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
