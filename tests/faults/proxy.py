"""A proxy between a cache and its server, on loopback, that does to the bytes what networks do."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from tests.servers import Server

_CHUNK = 65536


class Cut(Exception):  # noqa: N818 - an order, not an error
    """Send `last`, then reset the connection."""

    def __init__(self, last: bytes = b"") -> None:
        self.last = last


Treatment = Callable[[bytes], bytes]
"""What becomes of some bytes; none are sent on where it returns none."""


def passed(data: bytes) -> bytes:
    """As they came."""
    return data


def swallowed(data: bytes) -> bytes:
    """Lost."""
    return b""


def reset(data: bytes) -> bytes:
    """The connection, instead of the bytes."""
    raise Cut


def halved(data: bytes) -> bytes:
    """Half of them, then a reset."""
    raise Cut(data[: len(data) // 2])


def garbage(data: bytes) -> bytes:
    """Something else of the same length."""
    return (b"\x00\xffHTTP/1.1 200 OK\r\n\r\n<html>" * (len(data) // 25 + 1))[: max(len(data), 2)]


def delayed(seconds: float) -> Treatment:
    """The same, later."""

    def delay(data: bytes) -> bytes:
        time.sleep(seconds)
        return data

    return delay


def flipped(share: float, seed: int) -> Treatment:
    """With one bit turned over in a share of them."""
    dice = random.Random(seed)

    def flip(data: bytes) -> bytes:
        if not data or dice.random() >= share:
            return data
        damaged = bytearray(data)
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        return bytes(damaged)

    return flip


class Proxy:
    """Listens on `port` and passes on to `server`; `fault` says what becomes of requests and of replies."""

    host = "127.0.0.1"

    def __init__(self, server: Server) -> None:
        self.server = server
        self.requests = self.replies = passed
        self.trips = 0
        self._listener = socket.create_server((self.host, 0))
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}"

    def fault(self, *, requests: Treatment = passed, replies: Treatment = passed) -> None:
        """From now on, on new connections and on those that are open."""
        self.requests, self.replies = requests, replies

    def heal(self) -> None:
        """Pass everything on again."""
        self.fault()

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self._listener.close()
        for each in list(self._open):
            _drop(each)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((self.server.host, self.server.port), 1)
            except OSError:
                _drop(near)
                continue
            far.settimeout(None)
            self._open |= {near, far}
            threading.Thread(target=self._pump, args=(near, far, self._sent), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, self._answered), daemon=True).start()

    def _sent(self, data: bytes) -> bytes:
        self.trips += 1
        return self.requests(data)

    def _answered(self, data: bytes) -> bytes:
        return self.replies(data)

    def _pump(self, source: socket.socket, sink: socket.socket, treat: Treatment) -> None:
        with suppress(OSError):
            try:
                while data := source.recv(_CHUNK):
                    sink.sendall(treat(data))
            except Cut as cut:
                # What was meant for the far side is not of interest to it any more.
                if treat == self._answered:
                    sink.sendall(cut.last)
        for each in (source, sink):
            self._open.discard(each)
            _drop(each)


def _drop(connection: socket.socket) -> None:
    """Close with a reset, as a crash does."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The other pump may be waiting in recv; closing alone would not wake it.
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
