"""Collect all faults of a data set."""

from __future__ import annotations

import os
from collections.abc import Sequence

MAX_FAULTS = 20


class DataError(Exception):
    """A data set that cannot be used. Its text lists the faults.

    faults holds at most MAX_FAULTS texts, each with its file or id; count is
    their total number.
    """

    def __init__(self, where: str | os.PathLike[str], faults: Sequence[str], count: int | None = None):
        self.faults = list(faults[:MAX_FAULTS])
        self.count = len(faults) if count is None else count
        lines = [f"{os.fspath(where)}: {self.count} fault{'s' if self.count != 1 else ''}"]
        lines += [f"  {fault}" for fault in self.faults]
        if self.count > len(self.faults):
            lines.append(f"  and {self.count - len(self.faults)} more")
        super().__init__("\n".join(lines))


class Faults:
    """Collects faults, keeping the first MAX_FAULTS and counting all."""

    def __init__(self, where: str | os.PathLike[str]):
        self.where = where
        self.first: list[str] = []
        self.count = 0

    def add(self, text: str) -> None:
        """Adds a fault; control characters in foreign text are escaped."""
        self.count += 1
        if len(self.first) < MAX_FAULTS:
            clean = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
            self.first.append(clean[:400])

    def check(self) -> None:
        """Raises DataError when there was any fault."""
        if self.count:
            raise DataError(self.where, self.first, self.count)
