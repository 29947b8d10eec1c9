"""The lmdb stores of this process: one for each directory, shared by all threads, closed before each fork."""

from __future__ import annotations

import os
import threading
from collections import deque
from pathlib import Path
from weakref import WeakValueDictionary

from cacheplus.backends.lmdb_store import Store

# Each thread of Django has backends of its own, and so has each ASGI request: the stores outlive them. Those beyond
# this many go when no backend is left that uses them.
_KEPT = 16


class Registry:
    """Which stores there are, and what becomes of them in a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stores: WeakValueDictionary[Path, Store] = WeakValueDictionary()
        self._kept: deque[Store] = deque(maxlen=_KEPT)
        self._frozen: list[Store] = []
        self._is_hooked = False

    def store_at(self, location: str | os.PathLike[str]) -> Store:
        """The one store at `location`, by whatever path it is reached. Opens nothing."""
        # A link at the very end is not followed: the store refuses it.
        path = Path(os.path.abspath(location))  # noqa: PTH100 - resolve() would follow
        path = path.parent.resolve() / path.name
        with self._lock:
            self._hook()
            store = self._stores.get(path)
            if store is None:
                store = self._stores[path] = Store(path)
                self._kept.append(store)
        return store

    def _hook(self) -> None:
        if not self._is_hooked:
            self._is_hooked = True
            os.register_at_fork(
                before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._after_fork_in_child
            )

    def _before_fork(self) -> None:
        # A child that closed the environment of its parent would free its place in the table of readers.
        self._lock.acquire()
        self._frozen = [store for store in list(self._stores.values()) if store.freeze()]

    def _after_fork(self) -> None:
        for store in self._frozen:
            store.thaw()
        self._frozen = []
        self._lock.release()

    def _after_fork_in_child(self) -> None:
        self._lock, self._frozen = threading.Lock(), []
        for store in list(self._stores.values()):
            store.forget()


stores = Registry()
