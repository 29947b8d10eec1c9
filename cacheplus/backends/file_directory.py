"""The directory of the file store: made for us alone, one lock per part of it, written aside and moved into place."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from cacheplus.backends.directories import check_private, make_private

SUFFIX = ".djcache"

_TEMPORARY = ".tmp-"
_ORPHAN_AGE = 60.0
_LOCK = ".lock"
_LOCK_WAIT = 0.5
_LOCK_PAUSE = 0.002


class Seen(NamedTuple):
    """An entry as a listing shows it: its path, and when it ends, which is kept as the time of its file."""

    path: Path
    expires_at: float


class Directory:
    """A place for entries. Everything in it is written by us: files of others are neither read nor followed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def locked(self, part: Path) -> Iterator[None]:
        """Alone in `part` among all processes and threads.

        Raises TimeoutError if it is not free in half a second, UnsafeLocation where others may write to the root.
        """
        lock = self._open_lock(part)
        try:
            check_private(self.root)
            _acquire(lock, part)
            yield
        finally:
            os.close(lock)

    def _open_lock(self, part: Path) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(part / _LOCK, flags, 0o600)
        except FileNotFoundError:
            # Made on demand, and again if somebody deleted it.
            make_private(part)
            return os.open(part / _LOCK, flags, 0o600)

    @staticmethod
    def read(path: Path) -> bytes | None:
        """The content of a file of ours; None where there is none, or where it is a link or somebody else's."""
        try:
            with open(path, "rb", opener=_open_own) as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                    return None
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            if path.is_symlink():
                return None
            raise error from None

    @staticmethod
    def write(path: Path, content: bytes, expires_at: float) -> None:
        """Put `content` at `path` in one step. The time of the file is set to its end, for listings."""
        temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(temporary, flags, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                os.utime(temporary, (expires_at, expires_at))
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        except FileNotFoundError as error:
            raise OSError(f"The cache directory {path.parent} vanished while it was written to.") from error

    @staticmethod
    def remove(path: Path) -> None:
        """Delete a file, if it is there."""
        path.unlink(missing_ok=True)

    @staticmethod
    def listing(part: Path) -> list[Seen]:
        """The entries in `part`; temporary files whose writer died are deleted on the way."""
        seen = []
        try:
            entries = list(os.scandir(part))
        except FileNotFoundError:
            return []
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.name.endswith(SUFFIX):
                    seen.append(Seen(Path(entry.path), entry.stat(follow_symlinks=False).st_mtime))
                elif entry.name.startswith(_TEMPORARY):
                    changed = entry.stat(follow_symlinks=False).st_ctime
                    if time.time() - changed > _ORPHAN_AGE:
                        Path(entry.path).unlink(missing_ok=True)
        return seen


def _open_own(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)


def _acquire(lock: int, part: Path) -> None:
    deadline = time.monotonic() + _LOCK_WAIT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Another process has been writing to {part} for {_LOCK_WAIT} seconds.") from None
            time.sleep(_LOCK_PAUSE)
        else:
            return
