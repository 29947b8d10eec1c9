"""One lmdb store as this process has it open, with all that may happen to it.

LMDB permits one environment per file and process, and none across a fork. Readers wait for nobody. Writers take a
file lock with a deadline first; see `lmdb_lock`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple, TypeVar

import lmdb

from cacheplus.backends.lmdb_entries import Entries, Look
from cacheplus.backends.lmdb_files import Files, State
from cacheplus.backends.lmdb_lock import FileLock
from cacheplus.backends.lmdb_opened import Opened, attach, closing_on_error, environment
from cacheplus.backends.lmdb_room import Room
from cacheplus.backends.lmdb_turns import Turns

T = TypeVar("T")

FAULTS: tuple[type[BaseException], ...] = (lmdb.Error, OSError)
MapFull: type[Exception] = lmdb.MapFullError

# What is seen makes no sense. It may be this process that is confused, so the store is opened once more; where that
# does not help the files are damaged, and an empty store takes their place.
_DAMAGE = (
    lmdb.BadDbiError,
    lmdb.BadRslotError,
    lmdb.BadTxnError,
    lmdb.CorruptedError,
    lmdb.IncompatibleError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
)

_TRIES = 3
# Bytes that a write takes beside what it stores, and that are taken from the disk ahead of need.
_WRITE = 2**17
_AHEAD = 2**20
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


class Store:
    """The store in one directory. It is opened when first used, and again whenever it has to be."""

    def __init__(self, directory: Path) -> None:
        self.files = Files(directory)
        self._turns = Turns()
        self._opened: Opened | None = None
        self._pid = os.getpid()
        # What a lock knows that was closed because the store could not be opened.
        self._stuck_at = -1
        # How many ended read transactions LMDB keeps for the next. With one, a reader need not take the lock of the
        # table of readers, which a process that was stopped may hold. After a fork past our hooks it is none: parent
        # and child would free each other's place in that table.
        self._spare = 1
        # What a child inherited in the middle of a write of another thread, whose end LMDB would wait for.
        self._abandoned: list[Opened] = []

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
                        self._mend(opened, error, tries)

    def write(self, job: Callable[[Entries, Room], T], limits: Limits, size: int = 0) -> T:
        """`job(entries, room)`, all of it or nothing; it may be called again. `size` is how many bytes it adds.

        Raises MapFull where there is no room even after others went, TimeoutError where others kept the lock, or
        another of FAULTS.
        """
        tries, deadline = _TRIES, monotonic() + limits.wait
        with self._alone(limits) as current:
            opened = current
            while True:
                opened = self._reserve(opened, size)
                try:
                    return opened.write(job)
                except lmdb.Error as error:
                    if isinstance(error, lmdb.MapFullError) and opened.is_held() and monotonic() < deadline:
                        sleep(_PAUSE)
                        continue
                    tries -= 1
                    if not tries:
                        raise
                    opened = self._mend(opened, error, tries, size)

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
        with closing_on_error(lock):
            return self._open(lock, limits.map_size)

    def _lock_in_place(self, deadline: float) -> FileLock:
        while True:
            lock = FileLock(self.files.lock, self._stuck_at)
            with closing_on_error(lock):
                try:
                    lock.acquire(deadline, self._turns.step)
                finally:
                    self._stuck_at = lock.stuck_at
                if lock.is_in_place():
                    return lock
            lock.close()

    def _open(self, lock: FileLock, map_size: int) -> Opened:
        """Open what is there if it can be trusted, else start anew."""
        # LMDB does not open the same files twice in a process.
        is_open = any(opened.identity == self.files.identity() for opened in self._abandoned)
        state = None if is_open else self.files.trusted(map_size)
        if state is not None:
            with suppress(*_DAMAGE):
                return self._attach(lock, state)
        return self._start_anew(lock, map_size)

    def _start_anew(self, lock: FileLock, map_size: int) -> Opened:
        """Put an empty store in the place of what is there; every other process that has it open drops it."""
        self.files.lay_out()
        lock.board.generation += 1
        try:
            environment(self.files, map_size, self._spare).close()
            self.files.allocate(_AHEAD)
            lock.board.allocated, lock.board.used = _AHEAD, 0
            return self._attach(lock, self.files.complete(map_size))
        except BaseException:
            self.files.remove()
            raise

    def _attach(self, lock: FileLock, state: State) -> Opened:
        self._opened = attach(self.files, lock, state, self._spare)
        return self._opened

    # When something is wrong

    def _mend(self, opened: Opened, error: Exception, tries: int, size: int = 0) -> Opened:
        """Do what makes another try worth while, and return the store for it. Raises `error` where nothing does."""
        if isinstance(error, lmdb.MapFullError):
            return self._make_room(opened, size)
        if isinstance(error, lmdb.ReadersFullError):
            opened.env.reader_check()
            return opened
        if isinstance(error, lmdb.BadRslotError):
            self._spare = 0
        if not isinstance(error, _DAMAGE):
            raise error
        return self._reopen(opened, anew=tries == 1)

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

    def _reserve(self, opened: Opened, size: int) -> Opened:
        """Take the disk space that a write may need before it needs it: to find the disk full then would kill us.

        A write copies no more than what is there, and adds less than four times what it brings. Where the disk is full
        the store is started anew, which leaves it some space.
        """
        board, need = opened.lock.board, 4 * size + _WRITE
        if board.allocated >= opened.room.map_size:
            return opened
        if board.allocated < 2 * board.used + need:
            board.used = (opened.env.info()["last_pgno"] + 1) * opened.room.page_size
            wanted = min(2 * board.used + need + _AHEAD, opened.room.map_size)
            if wanted > board.allocated:
                try:
                    self.files.allocate(wanted)
                except OSError as error:
                    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                        raise
                    return self._reopen(opened, anew=True)
                board.allocated = wanted
        board.used += need
        return opened

    def _reopen(self, opened: Opened, *, anew: bool) -> Opened:
        self._opened = None
        with closing_on_error(opened.lock):
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
        opened, self._opened = self._opened, None
        self._pid, self._turns = os.getpid(), Turns()
        if opened is not None:
            # Forked without `freeze`.
            self._spare = 0
            if opened.is_writing:
                self._abandoned.append(opened)
                opened.lock.close()
            else:
                opened.close()
