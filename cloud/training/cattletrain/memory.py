"""Keep the C library from giving memory back to the system after every step.

A training step frees and takes gigabytes; where taking new pages is dear, as in
virtual machines, that costs several times what the arithmetic does.
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
    """Starts `python -m module argv` anew in this process with the settings, unless they are there already."""
    if all(os.environ.get(k) == v for k, v in _WANTED.items()):
        return
    os.execve(sys.executable, [sys.executable, "-m", module, *argv], os.environ | _WANTED)
