"""Room in the file store: how many entries may lie there, and which go first. Below the limit nothing is listed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from cacheplus.backends.file_directory import PARTS, Directory, Tally

# From here on each part counts and culls by itself, so that a write lists a few files and never all of them. Below it
# the shares of the parts would be so small that some of them overflow long before the whole is full.
LARGE = 32 * PARTS
# A stopped process must not keep others from making room in the other parts.
_CULL_PATIENCE = 0.05


class Limit(NamedTuple):
    """How many entries of a kind there may be; what share of them goes at once; and in what order.

    As CULL_FREQUENCY, a `frequency` of 3 means a third and 0 means all. Expired ones go first, then those that end
    soonest, or where `by_age` is set those that were written first.
    """

    entries: int
    frequency: int
    by_age: bool = False


class Seen(NamedTuple):
    """A file as a listing shows it: when its entry ends, which is kept as the time of the file, and when it was put."""

    path: Path
    ends_at: float
    put_at: float

    @classmethod
    def look(cls, path: Path) -> Seen | None:
        """None where there is no such file."""
        try:
            found = path.lstat()
        except FileNotFoundError:
            return None
        return cls(path, found.st_mtime, found.st_ctime)


class Room:
    """The count of the entries of one kind, shared by all processes, and what is done when it reaches the limit."""

    def __init__(self, directory: Directory, kind: str) -> None:
        self._directory = directory
        self._kind = kind
        self._place = directory.root / kind

    @contextmanager
    def adding(self, path: Path, limit: Limit, now: float, patience: float | None = None) -> Iterator[None]:
        """Alone in the part of `path`, which is counted and has room if it is new. Raises what `locked` does."""
        part, (group, share) = path.parent, self._group(path.parent, limit)
        limit = limit._replace(entries=share)
        if group != part and not os.path.lexists(path):
            with self._directory.locked(group, patience) as tally:
                self._admit(tally, group, limit, now)
        with self._directory.locked(part, patience) as tally:
            if group == part and not os.path.lexists(path):
                self._admit(tally, group, limit, now)
            yield

    @contextmanager
    def removing(self, path: Path, limit: Limit, patience: float | None = None) -> Iterator[None]:
        """Alone in the part of `path`, which is counted out if it is deleted. Raises what `locked` does."""
        part, (group, _) = path.parent, self._group(path.parent, limit)
        with self._directory.locked(part, patience) as tally:
            was_there = os.path.lexists(path)
            yield
            is_gone = was_there and not os.path.lexists(path)
            if is_gone and group == part:
                tally.number -= 1
        if is_gone and group != part:
            # May fail: a count that is too high is put right where the limit is met.
            with suppress(OSError), self._directory.locked(group, _CULL_PATIENCE) as tally:
                tally.number -= 1

    def recount(self, left: int) -> None:
        """Take `left` for the number of entries in all parts."""
        if self._place.exists():
            with self._directory.locked(self._place) as tally:
                tally.number = left

    def _admit(self, tally: Tally, group: Path, limit: Limit, now: float) -> None:
        """Count one entry more; at the limit make room before."""
        if tally.number >= limit.entries:
            tally.number = self._cull(group, limit, now)
        tally.number += 1

    def _group(self, part: Path, limit: Limit) -> tuple[Path, int]:
        """The directory whose lock keeps the count for `part`, and how many it may count."""
        return (part, limit.entries // PARTS) if limit.entries >= LARGE else (self._place, limit.entries)

    def _cull(self, group: Path, limit: Limit, now: float) -> int:
        """Delete what has to go from `group`, holding its lock; return how many entries are left."""
        parts = self._directory.parts(self._kind) if group == self._place else [group]
        paths = [path for part in parts for path in self._directory.listing(part, alone=part == group)]
        if len(paths) < limit.entries:
            return len(paths)
        found = [seen for seen in map(Seen.look, paths) if seen is not None]
        left = len(found)
        goners = sorted(surplus(found, limit, now))
        for part, files in groupby(goners, key=lambda seen: seen.path.parent):
            lock = nullcontext() if part == group else self._directory.locked(part, _CULL_PATIENCE)
            # What cannot be deleted stays, and is no reason to refuse a new entry.
            with suppress(OSError), lock:
                for seen in files:
                    # Written anew since it was listed: then it stays.
                    if Seen.look(seen.path) == seen:
                        left -= self._directory.remove(seen.path)
        return left


def surplus(found: Sequence[Seen], limit: Limit, now: float) -> list[Seen]:
    """Which of `found`, as many as the limit or more, have to go.

    Those that are over are enough if the next look is not due at once; else as many go in all as Django would delete.
    """
    over = [seen for seen in found if seen.ends_at <= now]
    if len(over) >= max(1, limit.entries // 32) and len(found) - len(over) < limit.entries:
        return over
    live = [seen for seen in found if seen.ends_at > now]
    live.sort(key=lambda seen: seen.put_at if limit.by_age else seen.ends_at)
    number = max(1, len(found) // limit.frequency) if limit.frequency else len(found)
    return over + live[: max(0, number - len(over))]
