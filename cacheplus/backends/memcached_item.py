"""What memcached keeps under a name: the bytes of a value, and beside them a number that clients call flags.

memcached does not tell how long an item has left, so the flags say when it ends: in sixteenths of a second since 1970,
counted round and round a dial of more than four years. Bit 3 of the flags stays clear, because pylibmc takes it for
"compressed", and flags below 32 are left to Django's clients.
"""

from __future__ import annotations

import re
from math import ceil
from typing import NamedTuple

from cacheplus.codecs.record import from_wire, to_wire
from cacheplus.store import Stored

PAST = 30 * 24 * 3600 + 1
"""An expiry that is over: 30 days into 1970. The binary protocol would take -1 for the year 2106."""

_LONGEST_RELATIVE = 30 * 24 * 3600  # what is above counts from 1970
_LAST_SECOND = 2**31 - 1

_FRACTION = 16
_DIAL = 2**31 - 1
_FOREVER = _DIAL  # no place of the dial, which has this many from 0
_OVERTIME = 24 * 3600 * _FRACTION  # so far behind now is past; whatever is farther lies ahead
_ENDING = 1e-6

_FOREIGN_BELOW = 32
_FOREIGN_INTS = (2, 4)

# Plain digits are what memcached counts on, and there it wraps at 64 bits: a larger int is not written in that way.
_LARGE = re.compile(rb"i-?[0-9]{1,4000}")
_COUNTABLE = range(-(2**63), 2**63)


class Item(NamedTuple):
    """What a client sends and gets."""

    data: bytes
    flags: int


class Term(NamedTuple):
    """When an item ends, for its flags and in the words of the server (seconds, a unix time, or 0 for ever)."""

    flags: int
    expiry: int


def term_of(ttl: float | None, now: float) -> Term:
    """The term of an item that is written at `now` for `ttl` seconds.

    The server counts ticks of its clock, one in each second, and the first may come at once: it is told one more. What
    is longer than the dial counts as for ever in the flags, and what ends after 2038 does so for the server too.
    """
    if ttl is None or now + ttl >= _LAST_SECOND:
        return Term(_flags_of(_FOREVER), 0)
    end = _place_of(now + ttl) if ttl * _FRACTION < _DIAL - _OVERTIME else _FOREVER
    seconds = ceil(ttl) + (ttl > _ENDING)
    return Term(_flags_of(end), seconds if seconds <= _LONGEST_RELATIVE else int(now) + seconds)


def seconds_left(flags: int, now: float) -> float | None:
    """How long an item that is still there has left, None for ever; only for one that is not foreign.

    Past its end, in the second that the server may grant it, next to nothing: written again with that, it ends with
    the server's next tick, however often it is written.
    """
    end = (flags >> 4) << 3 | flags & 7
    if end == _FOREVER:
        return None
    left = (end - now * _FRACTION) % _DIAL
    return left / _FRACTION if 0 < left < _DIAL - _OVERTIME else _ENDING


def is_foreign(item: Item) -> bool:
    """Whether something else than cacheplus wrote it."""
    return item.flags < _FOREIGN_BELOW


def pack(stored: Stored, flags: int) -> Item:
    """The item of a stored form."""
    is_large = isinstance(stored, int) and stored not in _COUNTABLE
    return Item(b"i%d" % stored if is_large else to_wire(stored), flags)


def unpack(item: Item) -> Stored:
    """The stored form of an item. A foreign one that is no int comes as its flags, in one byte, and its data."""
    if not is_foreign(item):
        return int(item.data[1:]) if _LARGE.fullmatch(item.data) else from_wire(item.data)
    # memcached pads with spaces what it counted down.
    number = from_wire(item.data.rstrip(b" ")) if item.flags in _FOREIGN_INTS else None
    return number if isinstance(number, int) else bytes((item.flags,)) + item.data


def _place_of(moment: float) -> int:
    """Where the hand stands at `moment`; the first few places would make flags that are not ours."""
    return max(int(moment * _FRACTION) % _DIAL, _FOREIGN_BELOW)


def _flags_of(end: int) -> int:
    return (end >> 3) << 4 | end & 7
