"""Stop the C library from returning memory to the system after every step.

A training step frees and allocates gigabytes. On virtual machines new pages are
expensive, and this takes several times as long as the arithmetic.
"""

import os
import sys

_WANTED = {
    "MALLOC_MMAP_THRESHOLD_": str(8 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
    "MALLOC_ARENA_MAX": "1",
}


def keep_freed_pages(argv: list[str], module: str) -> None:
    """Restarts `python -m module argv` in this process with the settings, unless they are set."""
    if all(os.environ.get(k) == v for k, v in _WANTED.items()):
        return
    os.execve(sys.executable, [sys.executable, "-m", module, *argv], os.environ | _WANTED)
