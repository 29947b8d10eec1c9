"""Clients that all threads of a process share, and that no other process ever uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any, Protocol, TypeVar


class Closable(Protocol):
    """A client that many threads use at once."""

    def disconnect_all(self) -> None:
        """Close the connections that nobody is using."""


C = TypeVar("C", bound=Closable)

# A child of fork keeps what it inherited, untouched: libmemcached would say goodbye over its parent's connections.
_clients: dict[tuple[int, Hashable], Any] = {}


def client_of_process(key: Hashable, make: Callable[[], C]) -> C:
    """The one client of this process for `key`, made if need be. It must not connect before it is used."""
    _close_before_forks()
    mine = (os.getpid(), key)
    client = _clients.get(mine)
    # Of two threads that come first at once, both get the client that came first.
    return _clients.setdefault(mine, make()) if client is None else client


@cache
def _close_before_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_close_idle)


def _close_idle() -> None:
    for (pid, _), client in list(_clients.items()):
        if pid == os.getpid():
            client.disconnect_all()
