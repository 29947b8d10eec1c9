"""The n-th call to the operating system or to the database fails, for each n, in each operation."""

from __future__ import annotations

import builtins
import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from django.db import OperationalError, connections, router

from tests.faults.behaviour import Measured, behaviour, unexpected
from tests.faults.stores import build, opened

OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "get": lambda cache: cache.get("key"),
    "get_many": lambda cache: cache.get_many(["key", "other"]),
    "has_key": lambda cache: cache.has_key("key"),
    "set": lambda cache: cache.set("key", "new", 300),
    "set_many": lambda cache: cache.set_many({"key": "new", "other": "new"}, 300),
    "add": lambda cache: cache.add("added", 1, 300),
    "get_or_set": lambda cache: cache.get_or_set("key", "new", 300),
    "touch": lambda cache: cache.touch("key", 300),
    "delete": lambda cache: cache.delete("key"),
    "delete_many": lambda cache: cache.delete_many(["key", "other"]),
    "ttl": lambda cache: cache.ttl("key"),
    "expire_tags": lambda cache: cache.expire_tags("tag"),
    "clear": lambda cache: cache.clear(),
}
# After these, when they failed, the old value must not be there any more.
ENDING = ("set", "set_many", "delete", "delete_many", "expire_tags", "clear")

_FILE_CALLS = ("open", "rename", "replace", "unlink", "mkdir", "fsync", "ftruncate", "write", "fstat", "link", "rmdir")
_SOCKET_CALLS = ("connect", "send", "sendall", "recv", "recv_into", "settimeout")


class Counter:
    """Counts calls, and fails one of them; what was refused so far is in `failed`."""

    def __init__(self, fails_at: int, error: Callable[[], BaseException]) -> None:
        self.calls = 0
        self.failed = 0
        self._fails_at, self._error = fails_at, error

    def count(self) -> None:
        self.calls += 1
        if self.calls == self._fails_at:
            self.failed += 1
            raise self._error()

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count()
            return call(*args, **kwargs)

        return counted


@contextmanager
def _files_fail(counter: Counter) -> Iterator[None]:
    with ExitStack() as stack:
        for name in _FILE_CALLS:
            stack.enter_context(mock.patch.object(os, name, counter.around(getattr(os, name))))
        stack.enter_context(mock.patch.object(builtins, "open", counter.around(open)))
        yield


@contextmanager
def _sockets_fail(counter: Counter) -> Iterator[None]:
    with ExitStack() as stack:
        for name in _SOCKET_CALLS:
            stack.enter_context(mock.patch.object(socket.socket, name, counter.around(getattr(socket.socket, name))))
        yield


@contextmanager
def _statements_fail(counter: Counter) -> Iterator[None]:
    def execute(run: Callable[..., Any], *args: Any) -> Any:
        counter.count()
        return run(*args)

    connection = connections[router.routers[0].leader]  # type: ignore[attr-defined]
    with connection.execute_wrapper(execute):
        yield


def _disk_error() -> OSError:
    return OSError(errno.EIO, "Input/output error")


def _reset_by_peer() -> OSError:
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


WAYS = {
    "file": (_files_fail, _disk_error),
    "lmdb": (_files_fail, _disk_error),
    "redis": (_sockets_fail, _reset_by_peer),
    "pymemcache": (_sockets_fail, _reset_by_peer),
    "db": (_statements_fail, lambda: OperationalError("disk I/O error")),
}


@behaviour(
    "each call to the system fails once",
    *WAYS,
    bars={"raised": 0, "old values read after a failed change": 0},
    small={"most": 40},
    large={"most": 400},
)
def nth_call_fails(store: str, *, most: int) -> Measured:
    fail, error = WAYS[store]
    raised = old = tried = 0
    with opened(store, ON_FAULT="miss") as params:
        for name, operation in OPERATIONS.items():
            for fails_at in range(1, most):
                cache = build(params)
                _reset(cache)
                counter = Counter(fails_at, error)
                with fail(counter):
                    try:
                        operation(cache)
                    except Exception as error:  # noqa: BLE001 - that is what is counted
                        raised += unexpected(error)
                    # The fault is over for the rest of the block, and what is read now counts.
                    if counter.failed and name in ENDING:
                        old += _reads_old(cache)
                if not counter.failed:
                    break
                tried += 1
    return {"calls that failed": tried, "raised": raised, "old values read after a failed change": old}


def _reset(cache: Any) -> None:
    for _ in range(3):
        if cache.set_many({"key": "old", "other": "old"}, 300, tags=["tag"]) == []:
            break
    cache.delete("added")


def _reads_old(cache: Any) -> int:
    try:
        return int(cache.get("key") == "old")
    except Exception:  # noqa: BLE001 - a miss, or an error that was counted elsewhere
        return 0
