"""An lmdb environment that this process has open, and what goes with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import lmdb

from cacheplus.backends.lmdb_clock import MICROSECONDS, Clock
from cacheplus.backends.lmdb_entries import Entries, Look, Tables
from cacheplus.backends.lmdb_files import Files, State
from cacheplus.backends.lmdb_lock import FileLock
from cacheplus.backends.lmdb_room import Room

T = TypeVar("T")

_TABLES = (b"entries", b"ordinary", b"services")
_READERS = 1000
# How long the files may have been replaced by somebody else before we notice, in microseconds of the store's clock.
_LOOK_EVERY = MICROSECONDS // 10


@dataclass(slots=True)
class Opened:
    """The environment, and what goes with it."""

    env: Any
    tables: Tables
    room: Room
    clock: Clock
    lock: FileLock
    generation: int
    identity: tuple[int, int] | None
    pid: int
    look_at: int = 0
    is_writing: bool = False

    def is_current(self, files: Files) -> bool:
        """Whether this process opened it, and it is still the store that stands in its place."""
        try:
            # The pid on each use: uWSGI forks without a word to Python, and a child that reads here takes the place
            # of its parent among the readers.
            if self.pid != os.getpid() or self.lock.board.generation != self.generation:
                return False
        except ValueError:
            return False  # another thread has closed it meanwhile
        now = self.clock.now()
        if self.look_at - _LOOK_EVERY <= now < self.look_at:
            return True
        if files.identity() != self.identity:
            return False
        self.look_at = now + _LOOK_EVERY
        return True

    def read(self, job: Callable[[Look, int], T]) -> T:
        """`job(get, now)` on what is stored."""
        with self.env.begin(self.tables.entries) as txn:
            return job(txn.get, self.clock.now())

    def write(self, job: Callable[[Entries, Room], T]) -> T:
        """`job(entries, room)`, all of it or nothing. The caller holds the lock."""
        self.is_writing = True
        try:
            with self.env.begin(write=True) as txn:
                return job(Entries(txn, self.tables, self.clock.now()), self.room)
        finally:
            self.is_writing = False

    def is_held(self) -> bool:
        """Whether somebody still reads what stood before the last write: what was freed since cannot be used yet."""
        self.env.reader_check()
        last = self.env.info()["last_txnid"]
        # A table: process, thread, and the transaction that it reads, or a dash.
        reads = [row.split()[-1] for row in self.env.readers().splitlines() if row.strip()]
        return any(read.isdecimal() and int(read) < last for read in reads)

    def close(self) -> None:
        """Let go of everything. Transactions of other threads raise `lmdb.Error` at their next step."""
        self.env.close()
        self.lock.close()


def environment(files: Files, map_size: int, spare: int) -> Any:
    """Open what is there, or fill the empty files. `spare` is how many ended read transactions are kept."""
    # Nothing is flushed: what a killed process wrote is in the page cache, and after a crash of the machine the store
    # is checked.
    return lmdb.open(
        os.fspath(files.directory),
        map_size=map_size,
        max_dbs=len(_TABLES),
        max_readers=_READERS,
        max_spare_txns=spare,
        mode=0o600,
        sync=False,
        metasync=False,
        writemap=True,
        meminit=False,
        readahead=False,
    )


def attach(files: Files, lock: FileLock, state: State, spare: int) -> Opened:
    """Open the store that `state` tells of. The caller holds its lock."""
    env = environment(files, state.map_size, spare)
    with closing_on_error(env):
        with env.begin(write=True) as txn:
            tables = Tables(*(env.open_db(name, txn=txn) for name in _TABLES))
        env.reader_check()
        room = Room(state.map_size, env.stat()["psize"])
        return Opened(env, tables, room, state.clock, lock, lock.board.generation, files.identity(), os.getpid())


@contextmanager
def closing_on_error(thing: Any) -> Iterator[None]:
    """Close `thing` where the block raises."""
    with ExitStack() as stack:
        stack.callback(thing.close)
        yield
        stack.pop_all()
