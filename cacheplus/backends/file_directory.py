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

from cacheplus.backends.directories import check_private, make_private

SUFFIX = ".djcache"
PARTS = 256
# Seconds that a lock is waited for, where the site does not say.
PATIENCE = 0.5

_TEMPORARY = ".tmp-"
_ORPHAN_AGE = 60.0
_LOCK = ".lock"
# Short: whoever holds a lock and wants it again must not always be faster than those who wait.
_LOCK_PAUSE = 0.00005
_MODE = 0o600

# Until when a place is not waited for that long again: whoever keeps its lock is stopped, or hardly gets on, and a page
# that writes a lot would wait each time. The threads of a process have backends, and directories, of their own.
_stuck: dict[Path, float] = {}
_STUCK_FOR = 1.0
_LITTLE_PATIENCE = 0.01


class Tally:
    """How many entries there are, for as long as its lock is held.

    It is the size of the lock file, which has no content: so it cannot be torn, and takes no space.
    """

    def __init__(self, lock: int) -> None:
        self._lock = lock

    @property
    def number(self) -> int:
        """What was counted last."""
        return os.fstat(self._lock).st_size

    @number.setter
    def number(self, number: int) -> None:
        os.ftruncate(self._lock, max(0, number))


class Directory:
    """A place for entries. Everything in it is written by us: files of others are neither read nor followed."""

    def __init__(self, root: Path, patience: float = PATIENCE) -> None:
        self.root = root
        self.patience = patience

    def path(self, kind: str, digest: str) -> Path:
        """The file of an entry. The kinds are apart, and each has its parts."""
        return self.root / kind / digest[:2] / f"{digest}{SUFFIX}"

    def parts(self, kind: str) -> list[Path]:
        """The directories in which entries of that kind lie; they need not exist."""
        return [self.root / kind / f"{number:02x}" for number in range(PARTS)]

    @contextmanager
    def locked(self, place: Path, patience: float | None = None) -> Iterator[Tally]:
        """Alone in `place`, a directory below the root, among all processes and threads; it is made if it is missing.

        Raises TimeoutError if it does not come free in `patience` seconds, those of the directory if None, or much
        earlier for a second after that, and UnsafeLocation where others may write to it.
        """
        lock = self._acquire(place, self.patience if patience is None else patience)
        try:
            yield Tally(lock)
        finally:
            # Closing it is not enough: a child that was forked meanwhile has it open too.
            try:
                fcntl.flock(lock, fcntl.LOCK_UN)
            finally:
                os.close(lock)

    def _acquire(self, place: Path, patience: float) -> int:
        deadline = time.monotonic() + patience
        while True:
            lock = self._open_lock(place)
            try:
                _wait(lock, place, deadline)
                if os.fstat(lock).st_nlink:
                    return lock
            except BaseException:
                os.close(lock)
                raise
            # Somebody deleted the directory while we waited: the next one waits for another file.
            os.close(lock)

    def _open_lock(self, place: Path) -> int:
        try:
            check_private(self.root)
            check_private(place)
        except FileNotFoundError:
            # The root first: nothing is made in a directory that is not ours.
            make_private(self.root)
            make_private(place)
        lock = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        if stat.S_IMODE(os.fstat(lock).st_mode) != _MODE:
            os.fchmod(lock, _MODE)  # the umask was in the way
        return lock

    @staticmethod
    def read(path: Path, size: int = -1) -> bytes | None:
        """The content of a file, or its first `size` bytes.

        None where there is none, or what is there is a link, somebody else's, or cannot be read: it is no entry.
        """
        try:
            with open(path, "rb", opener=_open_own) as file:
                return file.read(size) if _is_own(os.fstat(file.fileno())) else None
        except FileNotFoundError:
            return None
        except OSError as error:
            with suppress(OSError):
                if not _is_own(path.lstat()) or isinstance(error, PermissionError):
                    return None
            raise

    @staticmethod
    def write(path: Path, content: bytes, ends_at: float) -> None:
        """Put `content` at `path` in one step. The time of the file is set to its end, for listings."""
        temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}")
        try:
            with open(temporary, "xb", opener=_create_own) as file:
                try:
                    os.fchmod(file.fileno(), _MODE)
                    file.write(content)
                    file.flush()
                    os.utime(file.fileno(), (ends_at, ends_at))
                    temporary.replace(path)
                except BaseException:
                    temporary.unlink(missing_ok=True)
                    raise
        except FileNotFoundError as error:
            raise OSError(f"The cache directory {path.parent} vanished while it was written to.") from error

    @staticmethod
    def remove(path: Path) -> bool:
        """Delete a file; whether it was there."""
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    @staticmethod
    def listing(place: Path, *, alone: bool) -> list[Path]:
        """The entries in `place`. Temporary files whose writer died are deleted on the way.

        Whoever is `alone` in there knows that all of them are such; others take those that are old.
        """
        found = []
        try:
            entries = list(os.scandir(place))
        except FileNotFoundError:
            return []
        for entry in entries:
            if entry.name.endswith(SUFFIX) and not entry.is_dir(follow_symlinks=False):
                found.append(Path(entry.path))
            elif entry.name.startswith(_TEMPORARY):
                with suppress(FileNotFoundError):
                    if alone or time.time() - entry.stat(follow_symlinks=False).st_ctime > _ORPHAN_AGE:
                        Path(entry.path).unlink()
        return found


def _open_own(path: str, flags: int) -> int:
    # Without waiting: a pipe that somebody put there has no writer.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _create_own(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)


def _is_own(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def _wait(lock: int, place: Path, deadline: float) -> None:
    """Take the lock of `place`. Raises TimeoutError where it does not come free by the deadline (monotonic time)."""
    since = time.monotonic()
    if since < _stuck.get(place, 0.0):
        deadline = min(deadline, since + _LITTLE_PATIENCE)
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            now = time.monotonic()
            if now > deadline:
                if deadline - since > PATIENCE / 2:
                    _stuck[place] = now + _STUCK_FOR
                raise TimeoutError(f"Another process has been writing to {place} for too long.") from None
            time.sleep(_LOCK_PAUSE)
        else:
            _stuck.pop(place, None)
            return
