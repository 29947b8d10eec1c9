"""How the Redis backend speaks: commands out and replies back in one round trip, on a connection of redis-py."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha1
from typing import Any, NamedTuple, TypeVar

from redis.exceptions import ChildDeadlockedError, InvalidResponse, NoScriptError, RedisError, ResponseError

T = TypeVar("T")

_AT_ONCE = struct.pack("ii", 1, 0)

FAULTS: tuple[type[BaseException], ...] = (RedisError, OSError, ChildDeadlockedError)
"""All that redis-py raises when a server, or the way to it, fails."""

ANSWERS: tuple[type[BaseException], ...] = (ResponseError,)
"""Those of them that a server replied, which is there."""

Client = Any
"""A `redis.Redis`: what type stubs say of it differs from release to release."""

Command = Sequence[bytes | str | int]
"""The words of one command."""


class NotAnInteger(ResponseError):  # noqa: N818 (named for what is the matter)
    """What is to be incremented is stored, but is no plain int."""


def exchange(client: Client, commands: Sequence[Command], read: Callable[[Any], T]) -> list[T | ResponseError]:
    """Send `commands`; return what `read` makes of each reply, or the server's error in its place.

    Nothing is ever sent twice: a second INCRBY or SET NX would be applied twice. Raises what is in `FAULTS`;
    `InvalidResponse` also where `read` raises because it was not made for such a reply.
    """
    pool = client.connection_pool
    connection = _connection(pool)
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        return [_reply(connection, read) for _ in commands]
    except BaseException:
        # Replies may still be under way, and the next caller would take them for its own. redis-py keeps such a
        # connection when it is interrupted between two replies, and behind Sentinel in any case.
        _abort(connection)
        raise
    finally:
        pool.release(connection)


def _connection(pool: Any) -> Any:
    """One that nobody uses, and that has been greeted to its end."""
    try:
        return pool.get_connection()
    except FAULTS:
        raise
    except BaseException as error:
        # redis-py puts it back as it is: without its database selected, or with a reply still under way.
        pool.disconnect(inuse_connections=False)
        if not isinstance(error, Exception):
            raise
        raise InvalidResponse(f"The greeting of the server cannot be read ({type(error).__name__}).") from error


def _abort(connection: Any) -> None:
    """Close, and take back what is still on its way: a SET that comes late would replace what was stored since."""
    ours = connection._sock  # noqa: SLF001 - redis-py has no other way to it
    if ours is not None:
        with suppress(OSError):
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            ours.close()
    connection.disconnect()


def _reply(connection: Any, read: Callable[[Any], T]) -> T | ResponseError:
    try:
        return read(connection.read_response(disable_decoding=True, disconnect_on_error=False))
    except ResponseError as error:
        return error
    except FAULTS:
        raise
    except Exception as error:
        # On garbage the parsers raise whatever int() or a slice does.
        raise InvalidResponse(f"A reply cannot be read ({type(error).__name__}).") from error


def ask(client: Client, command: Command, read: Callable[[Any], T]) -> T:
    """`exchange` for one command. Raises the server's error."""
    (answer,) = exchange(client, [command], read)
    if isinstance(answer, ResponseError):
        raise answer
    return answer


class Script(NamedTuple):
    """A Lua script over one key. Its text is fixed; the server knows it by its digest."""

    text: str

    def run(self, client: Client, read: Callable[[Any], T], name: bytes, *args: bytes | str | int) -> T:
        """Run it: in one round trip, or in two where the server has not met the text since it started."""
        digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        try:
            return ask(client, ("EVALSHA", digest, 1, name, *args), read)
        except NoScriptError:
            return ask(client, ("EVAL", self.text, 1, name, *args), read)


# pcall: a list or a set of somebody else's under the name is something else, and no error.
SWAP = Script("""
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if #ARGV == 1 then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], unpack(ARGV, 2)) end
return 1
""")
"""Arguments: what is expected, then those of SET, or none to delete. Read by `count`."""

# The value goes back as text, because a number of Lua is a double: beyond 2**53 it would be another one.
INCREMENT = Script("""
local head = redis.pcall('GETRANGE', KEYS[1], 0, 20)
if type(head) ~= 'string' or head == '' then return false end
if #head > 20 or not string.match(head, '^%-?%d+$') then return 'text' end
local done = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(done) == 'number' then return redis.call('GET', KEYS[1]) end
if string.find(done.err, 'overflow') or string.find(done.err, 'range') then return false end
return done
""")
"""Argument: the delta. Read by `counted`; None also for a number that the server cannot hold."""


# What the replies mean

_STATUS = {b"OK": True, None: False}


def is_done(reply: Any) -> bool:
    """Of SET: whether it did, or found its condition not met."""
    return _STATUS[reply]


def count(reply: Any) -> int:
    """Of a command that answers with a number."""
    return int(reply)


def counted(reply: Any) -> int | None:
    """Of INCREMENT: the new value, None where nothing is stored. Raises NotAnInteger."""
    if reply == b"text":
        raise NotAnInteger("value is not an integer")
    return None if reply is None else int(reply)


def values(number: int) -> Callable[[Any], list[bytes | None]]:
    """Of MGET for so many names."""

    def read(reply: Any) -> list[bytes | None]:
        if len(reply) != number or not all(value is None or isinstance(value, bytes) for value in reply):
            raise ValueError(number)
        return list(reply)

    return read


def page(reply: Any) -> tuple[bytes, list[bytes]]:
    """Of SCAN: the next cursor, and some names."""
    cursor, names = reply
    return bytes(cursor), [bytes(name) for name in names]
