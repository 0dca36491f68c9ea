"""Starts services quickly: a process that has imported them all, and forks one on request.

A service process spends most of its start on imports. Tests that kill services hundreds of times fork them
from here instead; what runs then is the same `chassis.runtime.run`, in a process of its own that a SIGKILL
ends like any other. Run as `python -m fleet.testing.nursery`, one JSON object a line:

    stdin   {"name": "orders", "environment": {...}, "log": "/path"}
    stdout  {"pid": 17, "name": "orders"}  once started, {"pid": 17, "status": -9}  once ended

Nothing here may start a thread or a gRPC channel, or make an id: a fork would inherit half of it.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
from types import ModuleType
from typing import Any

PR_SET_PDEATHSIG = 1
# Control is imported when it is asked for: few tests do, and it brings messages of its own.
_NAMES = (
    *("auth", "users", "crops", "catalog", "inventory", "orders", "payments", "notifications", "trace"),
    "market",
)


def main() -> None:
    """Serve requests until stdin ends."""
    modules = {name: importlib.import_module(f"services.{name}.main") for name in _NAMES}
    for module in ("interceptors.chain", "grpc_reflection.v1alpha.reflection"):
        importlib.import_module(module)
    # Garbage of the imports is collected once, here, and never looked at again in the children.
    gc.collect()
    gc.freeze()
    wakeup_read, wakeup_write = os.pipe()
    os.set_blocking(wakeup_write, False)
    signal.set_wakeup_fd(wakeup_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _say({"ready": True})
    unread = b""
    while True:
        ready, _, _ = select.select([0, wakeup_read], [], [])
        if wakeup_read in ready:
            os.read(wakeup_read, 4096)
            _reap()
        if 0 in ready:
            received = os.read(0, 1 << 20)
            if not received:
                return
            *lines, unread = (unread + received).split(b"\n")
            for line in lines:
                request = json.loads(line)
                _say({"pid": _start(modules, request), "name": request["name"]})


def _start(modules: dict[str, ModuleType], request: dict[str, Any]) -> int:
    name = request["name"]
    if name not in modules:
        modules[name] = importlib.import_module(f"services.{name}.main")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = _become(modules[request["name"]], request)
        finally:
            os._exit(status)
    return pid


def _become(module: ModuleType, request: dict[str, Any]) -> int:
    parent = os.getppid()
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return 1
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(request["environment"])
    try:
        # All that it imports is there already.
        runpy.run_path(str(module.__file__), run_name="__main__")
    except SystemExit as end:
        sys.stderr.flush()
        return end.code if isinstance(end.code, int) else 1
    return 0


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say({"pid": pid, "status": os.waitstatus_to_exitcode(status)})


def _say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
