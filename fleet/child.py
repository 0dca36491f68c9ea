"""Becomes the program of a supervised process: dies with its supervisor, as the user it should be.

Run as a plain script (`python -I -S child.py OPTIONS PROGRAM ARGS...`) and replaced by the program at once.
It exists so that nothing has to run between fork and exec inside the supervisor, whose threads would
make that unsafe. Standard library only; no import from the project.
"""

import ctypes
import json
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    """Apply the options (JSON: parent, signal, user, group, reach) and execute the program."""
    options = json.loads(arguments[0])
    linux = sys.platform.startswith("linux")
    libc = ctypes.CDLL(None, use_errno=True)
    if options["user"] is not None:
        _become(libc, options["user"], options["group"], reach=options["reach"] and linux)
    if linux:
        # After the change of user, which resets it.
        libc.prctl(PR_SET_PDEATHSIG, options["signal"], 0, 0, 0)
        if os.getppid() != options["parent"]:
            sys.exit(f"the supervisor {options['parent']} is gone")
    try:
        os.execv(arguments[1], arguments[1:])
    except OSError as error:
        sys.exit(f"{arguments[1]} cannot be started: {error.strerror}")


def _become(libc: ctypes.CDLL, user: int, group: int, *, reach: bool) -> None:
    if reach:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    if reach:
        _keep_reach(libc)


def _keep_reach(libc: ctypes.CDLL) -> None:
    """Keep the right to walk through folders closed to others (a project under a 0700 home folder)."""
    mask = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    # Effective, permitted, inheritable for capabilities 0..31, then the same for 32..63.
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    if libc.capset(header, data) != 0:
        sys.exit(f"capset failed: {os.strerror(ctypes.get_errno())}")
    if libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0) != 0:
        sys.exit(f"the capability cannot be kept: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(sys.argv[1:])
