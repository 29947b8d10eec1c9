"""One lmdb store as this process has it open, with all that may happen to it.

LMDB permits one environment per file and process, and none across a fork. Readers wait for nobody. Writers take a
file lock with a deadline first; see `lmdb_lock`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple, TypeVar

import lmdb

from cacheplus.backends.lmdb_clock import MICROSECONDS, Clock
from cacheplus.backends.lmdb_entries import Entries, Look, Tables
from cacheplus.backends.lmdb_files import Files, State
from cacheplus.backends.lmdb_lock import FileLock
from cacheplus.backends.lmdb_room import Room
from cacheplus.backends.lmdb_turns import Turns

T = TypeVar("T")

FAULTS: tuple[type[BaseException], ...] = (lmdb.Error, OSError)
MapFull: type[Exception] = lmdb.MapFullError

# What is in the files makes no sense: they go, and an empty store takes their place.
_DAMAGE = (
    lmdb.BadDbiError,
    lmdb.CorruptedError,
    lmdb.IncompatibleError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.VersionMismatchError,
)
# What this process knows of the store makes no sense: it opens it once more.
_CONFUSION = (lmdb.BadRslotError, lmdb.BadTxnError, lmdb.PanicError)

_TABLES = (b"entries", b"ordinary", b"services")
_READERS = 1000
_TRIES = 3
# How long the files may have been replaced by somebody else before we notice, in microseconds of the store's clock.
_LOOK_EVERY = MICROSECONDS // 10
# What a writer sleeps while a reader holds on to pages that it needs, in seconds. Readers are done in microseconds,
# but may lose the processor or the interpreter's lock meanwhile.
_PAUSE = 0.001


class Limits(NamedTuple):
    """What the options of an alias say: bytes of the map, and seconds to wait for other writers."""

    map_size: int
    wait: float

    @property
    def largest(self) -> int:
        """The most bytes that one value may have: a larger one would push out far more than it is worth."""
        return self.map_size // 8


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

    def is_current(self, files: Files) -> bool:
        """Whether this process opened it, and it is still the store that stands in its place."""
        try:
            # The pid on each use: uWSGI forks without a word to Python, and a child that reads here takes the place
            # of its parent among the readers.
            if self.pid != os.getpid() or self.lock.generation != self.generation:
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
        with self.env.begin(write=True) as txn:
            return job(Entries(txn, self.tables, self.clock.now()), self.room)

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


class Store:
    """The store in one directory. It is opened when first used, and again whenever it has to be."""

    def __init__(self, directory: Path) -> None:
        self.files = Files(directory)
        self._turns = Turns()
        self._opened: Opened | None = None
        self._pid = os.getpid()
        # How many ended read transactions LMDB keeps for the next. With one, a reader need not take the lock of the
        # table of readers, which a process that was stopped may hold. After a fork past our hooks it is none: parent
        # and child would free each other's place in that table.
        self._spare = 1

    @property
    def is_open(self) -> bool:
        """Whether a read can go ahead without waiting for anything."""
        return self._opened is not None

    def read(self, job: Callable[[Look, int], T], limits: Limits) -> T:
        """`job(get, now)` on a snapshot; it may be called again. Raises one of FAULTS."""
        tries = _TRIES
        while True:
            opened = self._opened
            if opened is None or not opened.is_current(self.files):
                with self._alone(limits) as opened:
                    pass
            self._turns.give_way()
            try:
                return opened.read(job)
            except lmdb.Error as error:
                tries -= 1
                if not tries:
                    raise
                with self._alone(limits) as current:
                    # A fork, or another thread that met the same, may have dealt with it.
                    if current is opened:
                        self._mend(opened, error, 0)

    def write(self, job: Callable[[Entries, Room], T], limits: Limits, size: int = 0) -> T:
        """`job(entries, room)`, all of it or nothing; it may be called again. `size` is how many bytes it adds.

        Raises MapFull where there is no room even after others went, TimeoutError where others kept the lock, or
        another of FAULTS.
        """
        tries, deadline = _TRIES, monotonic() + limits.wait
        with self._alone(limits) as current:
            opened = current
            while True:
                try:
                    return opened.write(job)
                except lmdb.Error as error:
                    if isinstance(error, lmdb.MapFullError) and opened.is_held() and monotonic() < deadline:
                        sleep(_PAUSE)
                        continue
                    tries -= 1
                    if not tries:
                        raise
                    opened = self._mend(opened, error, size)

    # Under the lock

    @contextmanager
    def _alone(self, limits: Limits) -> Iterator[Opened]:
        """Hold the lock, among threads and then among processes, of the store that stands there now."""
        if self._pid != os.getpid():
            self.forget()
        deadline, opened = monotonic() + limits.wait, self._opened
        with self._turns.turn(deadline, None if opened is None else opened.lock):
            try:
                yield self._take(deadline, limits)
            finally:
                if self._opened is not None:
                    self._opened.lock.release()

    def _take(self, deadline: float, limits: Limits) -> Opened:
        if self._opened is not None:
            self._opened.lock.acquire(deadline, self._turns.step)
            if self._opened.is_current(self.files):
                return self._opened
            self._drop()
        self.files.prepare()
        lock = self._lock_in_place(deadline)
        with _closing_on_error(lock):
            return self._open(lock, limits.map_size)

    def _lock_in_place(self, deadline: float) -> FileLock:
        while True:
            lock = FileLock(self.files.lock)
            with _closing_on_error(lock):
                lock.acquire(deadline, self._turns.step)
                if lock.is_in_place():
                    return lock
            lock.close()

    def _open(self, lock: FileLock, map_size: int) -> Opened:
        """Open what is there if it can be trusted, else start anew."""
        state = self.files.trusted(map_size)
        if state is not None:
            with suppress(*_DAMAGE):
                return self._attach(lock, state)
        return self._start_anew(lock, map_size)

    def _start_anew(self, lock: FileLock, map_size: int) -> Opened:
        """Put an empty store in the place of what is there; every other process that has it open drops it."""
        self.files.lay_out()
        lock.generation += 1
        try:
            self._environment(map_size).close()
            self.files.allocate(map_size)
            return self._attach(lock, self.files.complete(map_size))
        except BaseException:
            self.files.remove()
            raise

    def _attach(self, lock: FileLock, state: State) -> Opened:
        env = self._environment(state.map_size)
        with _closing_on_error(env):
            with env.begin(write=True) as txn:
                tables = Tables(*(env.open_db(name, txn=txn) for name in _TABLES))
            env.reader_check()
            room = Room(state.map_size, env.stat()["psize"])
            place = (lock, lock.generation, self.files.identity(), os.getpid())
            self._opened = Opened(env, tables, room, state.clock, *place)
        return self._opened

    def _environment(self, map_size: int) -> Any:
        # Nothing is flushed: what a killed process wrote is in the page cache, and after a crash of the machine the
        # store is checked.
        return lmdb.open(
            os.fspath(self.files.directory),
            map_size=map_size,
            max_dbs=len(_TABLES),
            max_readers=_READERS,
            max_spare_txns=self._spare,
            mode=0o600,
            sync=False,
            metasync=False,
            writemap=True,
            meminit=False,
            readahead=False,
        )

    # When something is wrong

    def _mend(self, opened: Opened, error: Exception, size: int) -> Opened:
        """Do what makes another try worth while, and return the store for it. Raises `error` where nothing does."""
        if isinstance(error, lmdb.MapFullError):
            return self._make_room(opened, size)
        if isinstance(error, lmdb.ReadersFullError):
            opened.env.reader_check()
            return opened
        if isinstance(error, lmdb.BadRslotError):
            self._spare = 0
        if not isinstance(error, _DAMAGE + _CONFUSION):
            raise error
        return self._reopen(opened, anew=isinstance(error, _DAMAGE))

    def _make_room(self, opened: Opened, size: int) -> Opened:
        """Delete entries from a full map, and return the store to go on with."""
        # Somebody who was stopped in the middle of a read holds on to all that was freed since. He keeps the old
        # store, and the others get a new one. So it is, too, where a map is so full that nothing can be deleted.
        if opened.is_held():
            return self._reopen(opened, anew=True)
        try:
            # What one transaction frees can be used by the next but one.
            for _ in range(2):
                opened.write(lambda entries, room: room.rescue(entries, size))
        except lmdb.MapFullError:
            return self._reopen(opened, anew=True)
        return opened

    def _reopen(self, opened: Opened, *, anew: bool) -> Opened:
        self._opened = None
        with _closing_on_error(opened.lock):
            opened.env.close()
            start = self._start_anew if anew else self._open
            return start(opened.lock, opened.room.map_size)

    def _drop(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    # Around a fork

    def freeze(self) -> bool:
        """Before a fork: let no thread write, and close the store. False where a thread does not stop writing."""
        is_frozen = self._turns.stop()
        if is_frozen:
            self._drop()
        return is_frozen

    def thaw(self) -> None:
        """After the fork, in the parent."""
        self._turns.go_on()

    def forget(self) -> None:
        """In a child: no thread of the parent is here to end its turn, and nothing that was open may be used."""
        if self._opened is not None:
            # Forked without `freeze`.
            self._spare = 0
        self._pid, self._turns = os.getpid(), Turns()
        self._drop()


@contextmanager
def _closing_on_error(thing: Any) -> Iterator[None]:
    with ExitStack() as stack:
        stack.callback(thing.close)
        yield
        stack.pop_all()
