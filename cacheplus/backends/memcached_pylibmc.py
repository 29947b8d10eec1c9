"""pylibmc, made to hand items through and to serve many threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import pylibmc

from cacheplus.backends.memcached_item import Item

FAULTS: tuple[type[BaseException], ...] = (pylibmc.Error, OSError)
"""All that a call raises when a server or the way to it fails."""


class Refused(pylibmc.Error):  # type: ignore[misc]
    """The server has no memory left for a value."""


REFUSALS: tuple[type[Exception], ...] = (pylibmc.TooBig, pylibmc.ServerError, Refused)
"""What stands for a healthy server that does not store a value."""

_COMPRESSED = 8

# That of libmemcached for "SERVER_ERROR out of memory storing object"; pylibmc has no class for it.
_OUT_OF_MEMORY = "error 48 "

# Builds of libmemcached before 1.0.18 may never again try a server that they left alone once.
_LONGEST_DOWN = 1.5


class NotANumber(pylibmc.ClientError):  # type: ignore[misc]
    """What is to be incremented is nothing that memcached counts on."""


class Client(pylibmc.Client):  # type: ignore[misc]
    """A client for one thread at a time, without serialisation of its own."""

    _down_since: float | None = None

    def is_stuck(self, error: pylibmc.Error) -> bool:
        """Whether `error` says that a server is left alone, and such errors began too long ago to be believed."""
        if not isinstance(error, pylibmc.ServerDown):
            return False
        now = monotonic()
        self._down_since = self._down_since or now
        return now - self._down_since > _LONGEST_DOWN

    def serialize(self, value: Item) -> Item:
        """The data and flags of an item."""
        return value

    def deserialize(self, data: bytes | None, flags: int) -> Item:
        """The item of data and flags. pylibmc has None for no bytes, and has inflated what was compressed."""
        return Item(data or b"", flags & ~_COMPRESSED)

    # For a key that is text, pylibmc makes bytes and lets go of them while it still uses them (its issue 300): in these
    # two calls they are ours.

    def get(self, key: str) -> Item | None:
        """The item under `key`. One that claims to be compressed and is not is deleted: no call could read it."""
        name = key.encode()
        try:
            return super().get(name)
        except pylibmc.Error as error:
            self._drop(name, error)
        return None

    def gets(self, key: str) -> tuple[Item | None, Any]:
        """(item, token for `cas`), None for both where there is none."""
        name = key.encode()
        try:
            return super().gets(name)
        except pylibmc.Error as error:
            self._drop(name, error)
        return None, None

    def get_multi(self, keys: Sequence[str]) -> dict[str, Item]:
        """The items that are there. If a server fails meanwhile, pylibmc brings what it has and does not tell."""
        if len(keys) > 1:
            try:
                return self._asked_for(keys, super().get_multi(keys))
            except pylibmc.Error as error:
                if not _is_damage(error):
                    raise
        items = ((key, self.get(key)) for key in keys)
        return {key: item for key, item in items if item is not None}

    def _asked_for(self, keys: Sequence[str], items: dict[Any, Item]) -> dict[str, Item]:
        """`items`. Raises ProtocolError if one has another key: these replies are not to be trusted."""
        if items.keys() <= set(keys):
            return items
        self.disconnect_all()
        raise pylibmc.ProtocolError("an item that nobody asked for")

    def _drop(self, name: bytes, error: pylibmc.Error) -> None:
        if not _is_damage(error):
            raise error
        self.delete(name)

    def flush_all(self) -> None:
        """Empty every server. Over the binary protocol that has no reply, so that another call has to ask for one."""
        super().flush_all()
        if self.binary:
            self.get_stats()

    def touch(self, key: str, time: int) -> bool:
        """As in pylibmc. Over the binary protocol it leaves the end of the reply unread."""
        try:
            return super().touch(key, time)
        finally:
            if self.binary:
                self.disconnect_all()

    def incr(self, key: str, delta: int = 1) -> int:
        """As in pylibmc; raises `NotANumber` for what memcached cannot count on."""
        if self.binary:
            self._require_number(key)
        try:
            return super().incr(key, delta)
        except pylibmc.ClientError as error:
            raise NotANumber(str(error)) from error

    def _require_number(self, key: str) -> None:
        """Look first: libmemcached takes the refusal of the binary protocol for a failure of the server."""
        item = self.get(key)
        if item is not None and not item.data.isdigit():
            raise NotANumber("the value is no number")


def _is_damage(error: pylibmc.Error) -> bool:
    """Whether the data of an item are to blame."""
    return type(error) is pylibmc.Error and "decompress" in str(error)


class Pool:
    """Clients to lend, as many as are in use at once. Appending to a deque and popping from it need no lock."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._unused: deque[Client] = deque()

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of a client that nobody else uses; None where pylibmc says that a key was not found."""
        try:
            client = self._unused.pop()
        except IndexError:
            client = self._make()
        try:
            answer = getattr(client, method)(*args)
        except pylibmc.NotFound:
            answer = None
        except pylibmc.Error as error:
            # libmemcached has closed what was out of step, and knows which server to leave alone for a while.
            if not client.is_stuck(error):
                self._unused.append(client)
            if str(error).startswith(_OUT_OF_MEMORY):
                raise Refused(str(error)) from error
            raise
        # On anything else, an interrupt say, the client is not used again.
        self._unused.append(client)
        return answer

    def disconnect_all(self) -> None:
        """Let go of the clients that nobody is using."""
        self._unused.clear()
