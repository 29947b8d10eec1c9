"""The codec of a store within this process: values stay objects as far as nobody could change them through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from cacheplus.codecs.record import Record
from cacheplus.codecs.serializers import PickleSerializer
from cacheplus.exceptions import BadRecord, Flaw

_IMMUTABLE = frozenset(
    {str, bytes, int, float, bool, type(None), date, datetime, time, timedelta, Decimal, UUID},
)
_PICKLE = PickleSerializer()


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A record as it is kept. Equal only to itself: two writes of one value are two entries."""

    record: Record
    """Its value is what `thaw` takes, or the value itself."""
    thaw: Callable[[Any], Any] | None
    """Makes the caller's own copy; None where the value cannot be changed and is handed out as it is."""
    seal: bytes


class ObjectCodec:
    """Records to ints and entries, and back; every reader gets a value of its own.

    Immutable values are kept as they are, flat lists, dicts and sets of them are copied, everything else is pickled:
    exact types only, since a subclass may be mutable. `immutable` names further immutable types.
    """

    def __init__(self, immutable: Iterable[type] = ()) -> None:
        self._scalars = _IMMUTABLE.union(immutable)

    # Names are not sealed as bytes are: within a process they can be neither damaged nor confused.

    def encode(self, _name: str, record: Record, seal: bytes = b"") -> int | Entry:
        """What to keep. A bare int stays an int; what pickling raises is let out, before anything is stored."""
        value = record.value
        if type(value) is int and record.is_bare:
            return value
        kept, thaw = self._freeze(value)
        return Entry(record if kept is value else Record(kept, *record[1:]), thaw, seal)

    def decode(self, _name: str, stored: int | Entry, seal: bytes = b"") -> Record:
        """The record of an entry. Raises `BadRecord` for an entry of another prefix or version, and for a stamp."""
        if not isinstance(stored, Entry):
            if isinstance(stored, int):
                return Record(stored)
            raise BadRecord(Flaw.FOREIGN, "not a record")
        if stored.seal != seal:
            raise BadRecord(Flaw.CHECKSUM, "of another key")
        if stored.thaw is None:
            return stored.record
        record = stored.record
        try:
            value = stored.thaw(record.value)
        except Exception as error:
            raise BadRecord(Flaw.PAYLOAD, type(error).__name__) from error
        return Record(value, *record[1:])

    def _freeze(self, value: Any) -> tuple[Any, Callable[[Any], Any] | None]:
        """(what is kept, what makes a copy of it)."""
        kind = type(value)
        if kind in self._scalars:
            return value, None
        if kind in (tuple, frozenset) and self._scalars.issuperset(map(type, value)):
            return value, None
        if kind in (list, set) and self._scalars.issuperset(map(type, value)):
            return value.copy(), kind.copy
        if kind is dict and self._is_flat(value):
            return value.copy(), dict.copy
        return _PICKLE.dumps(value), _PICKLE.loads

    def _is_flat(self, value: dict[Any, Any]) -> bool:
        return self._scalars.issuperset(map(type, value)) and self._scalars.issuperset(map(type, value.values()))
