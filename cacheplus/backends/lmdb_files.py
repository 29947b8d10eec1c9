"""The files of an lmdb store: how they are laid out, and when what is found there can be trusted."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmdb import verify

from cacheplus.backends.directories import is_ours, make_private
from cacheplus.backends.lmdb_clock import Clock, boot_id

# Raised by one with each change of what is in the files: a store of another format is started anew.
_FORMAT = 1
# Room for about a thousand readers at a time; LMDB takes the size that it finds.
_READERS_SIZE = 64 * 1024
_MOUNTS = Path("/proc/self/mountinfo")
# A memory map is not shared between the machines that mount these, and neither are the locks in it.
REMOTE = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gfs2"}
    | {"gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "vboxsf"}
)


@dataclass(frozen=True, slots=True)
class State:
    """What is written beside the data once a store is complete."""

    map_size: int
    boot: str
    offset: int
    format: int = _FORMAT

    @property
    def clock(self) -> Clock:
        """The clock that the deadlines in the store were read from."""
        return Clock(self.boot, self.offset)


class Files:
    """The files of the store in `directory`. Whoever calls these holds its lock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data.mdb"
        self.readers = directory / "lock.mdb"
        self.lock = directory / "writer.lock"
        self._state = directory / "state.json"

    def prepare(self) -> None:
        """Make the directory. Raises OSError where that cannot be done, or where it must not be used."""
        make_private(self.directory)
        kind = filesystem_of(self.directory)
        if kind in REMOTE:
            raise OSError(
                errno.ENOTSUP,
                f"The cache directory {str(self.directory)!r} lies on {kind}, where processes cannot share memory. "
                "Set LOCATION to a directory on a disk of this machine",
            )

    def trusted(self, map_size: int) -> State | None:
        """What is known of the store that is there, or None where it has to be started anew.

        That is one that is incomplete, of another format, smaller than `map_size`, or damaged when the machine went
        down. What LMDB can see by itself is not looked for here.
        """
        state = self._read_state()
        if state is None or state.format != _FORMAT or state.map_size < map_size:
            return None
        if not is_ours(self.data) or not is_ours(self.readers) or self.data.stat().st_size != state.map_size:
            return None
        if state.boot == boot_id():
            return state
        # Nothing is flushed when it is written, so a crash of the machine may have torn the data. And the wall clock
        # has to say how long it was down: one that went back would let everything live too long.
        if time.time() < self.data.stat().st_mtime or not _is_sound(self.data):
            return None
        return self.complete(state.map_size)

    def complete(self, map_size: int) -> State:
        """Note that the store is whole, with the clock of this run of the machine."""
        state = State(map_size, *Clock.start())
        temporary = self._state.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        temporary.touch(mode=0o600)
        temporary.chmod(0o600)  # whatever the umask
        temporary.write_text(json.dumps(asdict(state)), encoding="utf-8")
        temporary.replace(self._state)
        return state

    def lay_out(self) -> None:
        """Make the empty files that LMDB then fills: by itself it would give them the modes of the umask."""
        self.remove()
        for path, size in ((self.readers, _READERS_SIZE), (self.data, 0)):
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.fchmod(file, 0o600)
                _allocate(file, size)
            finally:
                os.close(file)

    def allocate(self, size: int) -> None:
        """Take the disk space of the first `size` bytes of the data: where it is missing, a write to the map kills."""
        file = os.open(self.data, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _allocate(file, size)
        finally:
            os.close(file)

    def remove(self) -> None:
        """Delete the store. Processes that have it open keep what they have until they look."""
        for path in (self._state, self.data, self.readers):
            path.unlink(missing_ok=True)

    def identity(self) -> tuple[int, int] | None:
        """What tells this store from one that stood here before; None where there is none."""
        try:
            found = os.stat(self.data)  # noqa: PTH116 - called ten times a second; a Path costs more than the call
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _read_state(self) -> State | None:
        try:
            fields: Any = json.loads(self._state.read_text(encoding="utf-8"))
            return State(int(fields["map_size"]), str(fields["boot"]), int(fields["offset"]), int(fields["format"]))
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None


def filesystem_of(directory: Path) -> str:
    """The type of the file system that `directory` lies on, or would; empty where the system does not say."""
    place = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    device = place.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    return next((kind for number, kind in _mounts() if number == wanted), "")


def _mounts() -> Iterator[tuple[str, str]]:
    """(device, type of file system) of each mount; see proc(5)."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        place, _, source = line.partition(" - ")
        if place and source:
            yield place.split()[2], source.split()[0]


def _is_sound(data: Path) -> bool:
    """Whether every page that the store needs is where it should be. Reads all of it: about a second for 256 MB."""
    try:
        problems = verify.verify(os.fspath(data), subdir=False)  # type: ignore[no-untyped-call]
    except verify.VerifyError:
        return False
    return not problems


def _allocate(file: int, size: int) -> None:
    """Reserve `size` bytes on the disk. Where the file system cannot, the file is left to grow by itself."""
    if not size or not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
