"""Memory of a process and its children, shared pages counted by their share (PSS)."""

import contextlib

import psutil


def proportional_bytes(pid: int) -> int | None:
    """Sum of PSS over the process and all its descendants, in bytes; None when it is gone.

    Where the system does not know PSS (macOS), the resident size stands in for it.
    """
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return None
    total = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            full = process.memory_full_info()
            total += int(getattr(full, "pss", full.rss))
    return total
