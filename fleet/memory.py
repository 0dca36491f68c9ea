"""Memory of processes, shared pages counted by their share (PSS)."""

import contextlib

import psutil


def proportional_bytes(pid: int, *, descendants: bool = True) -> int | None:
    """PSS of a process in bytes, by default with all its descendants; None when it is gone.

    Where the system does not know PSS (macOS), the resident size stands in for it.
    """
    try:
        root = psutil.Process(pid)
        family = [root, *(root.children(recursive=True) if descendants else [])]
    except psutil.Error:
        return None
    total = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            full = process.memory_full_info()
            total += int(getattr(full, "pss", full.rss))
    return total
