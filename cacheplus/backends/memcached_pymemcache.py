"""pymemcache, made to share its connections between threads and to fail aloud."""

from __future__ import annotations

import select
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymemcache import Client, HashClient, PooledClient
from pymemcache.exceptions import (
    MemcacheClientError,
    MemcacheError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
    MemcacheUnknownError,
)
from pymemcache.pool import ObjectPool
from pymemcache.serde import PickleSerde

from cacheplus.backends.memcached_item import Item

FAULTS: tuple[type[BaseException], ...] = (MemcacheError, OSError)
"""All that a call of `Nodes` raises when a server or the way to it fails."""

REFUSALS: tuple[type[Exception], ...] = (MemcacheServerError,)
"""What a healthy server answers that does not store a value: it is over the item limit, or no memory is left."""


class NotANumber(MemcacheClientError):  # type: ignore[misc]  # noqa: N818 (named for what is the matter)
    """What is to be incremented is nothing that memcached counts on."""


class ItemSerde(PickleSerde):  # type: ignore[misc]
    """Hands items through. It is a `PickleSerde` only for those who look at the attributes of one."""

    def serialize(self, key: bytes, value: Item) -> Item:
        """The data and flags of an item."""
        return value

    def deserialize(self, key: bytes, value: bytes, flags: int) -> Item:
        """The item of data and flags."""
        return Item(value, flags)


ITEM_SERDE = ItemSerde()

_BATCH = b"batch"


class Connection(Client):  # type: ignore[misc]
    """One connection to one server. A batch takes one round trip, and what the server refuses does not end it."""

    def incr(self, key: str, value: int, noreply: bool | None = False) -> int | None:
        """As in pymemcache; raises `NotANumber` for what memcached cannot count on."""
        try:
            return super().incr(key, value, noreply)
        except MemcacheClientError as error:
            raise NotANumber(*error.args) from error

    def set_many(
        self, values: Mapping[str, Item], expire: int = 0, noreply: bool | None = None, flags: int | None = None
    ) -> list[str]:
        """Store each of `values`; return the keys that were not stored."""
        return [key for key, is_stored in self._store_each(b"set", values, expire) if not is_stored]

    def add_many(self, values: Mapping[str, Item], expire: int) -> list[str]:
        """Add each of `values`; return the keys that were stored."""
        return [key for key, is_stored in self._store_each(b"add", values, expire) if is_stored]

    def remove_many(self, keys: Iterable[str]) -> int:
        """Delete `keys`; return how many were there."""
        replies = self._batch([b"delete %b" % self._sent(key) for key in keys])
        return sum(_meaning(reply, b"DELETED", b"NOT_FOUND") for reply in replies)

    def _store_each(self, verb: bytes, values: Mapping[str, Item], expire: int) -> Iterator[tuple[str, bool]]:
        """(key, whether it was stored)."""
        form = b"%b %b %d %d %d\r\n%b"
        commands = [
            form % (verb, self._sent(key), flags, expire, len(data), data) for key, (data, flags) in values.items()
        ]
        for key, reply in zip(values, self._batch(commands), strict=True):
            yield key, _meaning(reply, b"STORED", b"NOT_STORED", b"SERVER_ERROR")

    def _sent(self, key: str) -> bytes:
        return self.check_key(key, self.key_prefix)

    def _batch(self, commands: Iterable[bytes]) -> list[bytes]:
        return self._misc_cmd([command + b"\r\n" for command in commands], _BATCH, False)

    def _raise_errors(self, line: bytes, name: bytes) -> None:
        if name is not _BATCH:
            super()._raise_errors(line, name)


class Connections(ObjectPool):  # type: ignore[misc]
    """The connections to one server. One that may be out of step is never lent again."""

    def get(self) -> Connection:
        """A connection that nobody uses, and on which nothing has come that nobody asked for."""
        while True:
            try:
                connection = super().get()
            except RuntimeError as error:
                raise MemcacheError(f"all {self.max_size} connections of max_pool_size are in use") from error
            if _is_quiet(connection):
                return connection
            self.destroy(connection)

    @contextmanager
    def get_and_release(self, destroy_on_fail: bool = False) -> Iterator[Connection]:
        """Lend a connection. It is closed on whatever is raised meanwhile: part of a reply may be on its way."""
        connection = self.get()
        try:
            yield connection
        except BaseException:
            self.destroy(connection)
            raise
        self.release(connection)

    def close_unused(self, unused_for: float) -> None:
        """Close the connections that nobody uses, and nobody did for so many seconds."""
        with self._lock:
            free = list(self._free_objs)
            now = time.time()
            # The pool keeps times only where it has an idle timeout.
            old = [each for each in free if not unused_for or now - each._last_used >= unused_for]  # noqa: SLF001
            self._free_objs.clear()
            self._free_objs.extend(each for each in free if each not in old)
        for connection in old:
            connection.close()


class Node(PooledClient):  # type: ignore[misc]
    """One server."""

    client_class = Connection

    def __init__(
        self,
        server: Any,
        *,
        max_pool_size: int | None = None,
        pool_idle_timeout: float = 0,
        lock_generator: Callable[[], Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(server, **options)
        self.client_pool = Connections(
            self._create_client,
            after_remove=Connection.close,
            max_size=max_pool_size,
            idle_timeout=pool_idle_timeout,
            lock_generator=lock_generator,
        )

    def add_many(self, values: Mapping[str, Item], expire: int) -> list[str]:
        """As of a connection."""
        with self.client_pool.get_and_release() as connection:
            return connection.add_many(values, expire)

    def remove_many(self, keys: Iterable[str]) -> int:
        """As of a connection."""
        with self.client_pool.get_and_release() as connection:
            return connection.remove_many(keys)


class Nodes(HashClient):  # type: ignore[misc]
    """The servers of an alias, for any number of threads. A key has one server, and never another while that fails."""

    def add_server(self, server: Any, port: int | None = None) -> None:
        """As in pymemcache, with a `Node` for each server."""
        address = server if port is None else (server, port)
        name = self._make_client_key(address)
        self.clients[name] = Node(address, **self.default_kwargs)
        self.hasher.add_node(name)

    def _safely_run_func(
        self, client: Node, func: Callable[..., Any], default_val: Any, *args: Any, **kwargs: Any
    ) -> Any:
        # pymemcache would answer with the default for a while, then give the server's keys to another one.
        return func(*args, **kwargs)

    def _safely_run_set_many(self, client: Node, values: Mapping[str, Item], *args: Any, **kwargs: Any) -> list[str]:
        return client.set_many(values, *args, **kwargs)

    def _by_node(self, keys: Iterable[str]) -> Mapping[Node, list[str]]:
        batches: dict[Node, list[str]] = defaultdict(list)
        for key in keys:
            batches[self._get_client(key)].append(key)
        return batches

    def nodes_of(self, keys: Iterable[str]) -> set[str]:
        """The names of the nodes that have `keys`. Connects to none."""
        return {self.hasher.get_node(key) for key in keys}

    def probe(self, node: str) -> None:
        """Raise what is wrong with one node."""
        self.clients[node].version()

    def add_many(self, values: Mapping[str, Item], expire: int) -> set[str]:
        """Add each of `values`; return the keys that were free. One round trip for each server."""
        batches = self._by_node(values).items()
        return {key for node, keys in batches for key in node.add_many({key: values[key] for key in keys}, expire)}

    def remove_many(self, keys: Iterable[str]) -> int:
        """Delete `keys`; return how many were there. One round trip for each server."""
        return sum(node.remove_many(batch) for node, batch in self._by_node(keys).items())

    def flush_all(self, *args: Any, **kwargs: Any) -> None:
        """Empty every server that can be reached, then raise the last error if there was one."""
        failure: BaseException | None = None
        for node in self.clients.values():
            try:
                if not node.flush_all(*args, **kwargs):
                    failure = MemcacheUnknownError("a reply to flush_all that makes no sense")
            except FAULTS as error:
                failure = error
        if failure is not None:
            raise failure

    def disconnect_all(self, *, unused_for: float = 0) -> None:
        """Close the connections that no thread is using, and that none did for so many seconds."""
        for node in self.clients.values():
            node.client_pool.close_unused(unused_for)

    def call(self, method: str, *args: Any) -> Any:
        """Call a method; what it raises of a server or of the way to it is in `FAULTS`."""
        try:
            return getattr(self, method)(*args)
        except MemcacheUnexpectedCloseError as error:
            # It counts as an answer of the server, which it is not.
            raise ConnectionResetError("memcached closed the connection") from error
        except (ValueError, LookupError) as error:
            raise MemcacheUnknownError(f"a reply that makes no sense: {type(error).__name__}") from error


def _meaning(reply: bytes, yes: bytes, *no: bytes) -> bool:
    """What one reply of a batch says. Raises MemcacheUnknownError if it is none of these."""
    if reply != yes and not reply.startswith(no):
        raise MemcacheUnknownError(reply[:32])
    return reply == yes


def _is_quiet(connection: Connection) -> bool:
    """Whether there is nothing to read: neither the end, where the server closed it, nor a reply that came late."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)
