"""The kinds of value that are written without a serializer, whatever `SERIALIZER` says.

They cover most of what sites cache, come back exactly as they went in, cannot run code, and need no signature. Only
exact types count: a subclass (a `SafeString`, an `OrderedDict`) would lose its class.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

_DOUBLE = struct.Struct(">d")
_SCALARS = frozenset({str, int, float, bool, type(None)})

# Raw surrogates stay raw: as two escapes, a pair of lone ones would come back as a single character.
_to_json = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
_from_json = json.JSONDecoder().decode


class _Kind(NamedTuple):
    id: int
    dump: Callable[[Any], bytes | None]
    load: Callable[[bytes], Any]


def _dump_text(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _load_text(payload: bytes) -> str:
    return payload.decode("utf-8", "surrogatepass")


def _dump_int(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _load_int(payload: bytes) -> int:
    return int.from_bytes(payload, "big", signed=True)


def _load_double(payload: bytes) -> float:
    number: float = _DOUBLE.unpack(payload)[0]
    return number


def _dump_bool(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def _load_bool(payload: bytes) -> bool:
    return (b"\x00", b"\x01").index(payload) == 1


def _dump_nothing(_value: None) -> bytes:
    return b""


def _load_nothing(payload: bytes) -> None:
    if payload:
        raise ValueError("None has no payload")


def _dump_flat(value: Any) -> bytes | None:
    """JSON text of the elements, or None where it would not bring them back exactly."""
    if not _SCALARS.issuperset(map(type, value)):
        return None
    return _dump_json(value if type(value) is list else list(value))


def _dump_dict(value: dict[Any, Any]) -> bytes | None:
    if not (_STRINGS.issuperset(map(type, value)) and _SCALARS.issuperset(map(type, value.values()))):
        return None
    return _dump_json(value)


def _dump_json(value: Any) -> bytes | None:
    try:
        return _to_json(value).encode("utf-8", "surrogatepass")
    except ValueError:
        # An int with more digits than Python converts to text (sys.set_int_max_str_digits).
        return None


def _load_list(payload: bytes) -> list[Any]:
    elements = _from_json(_load_text(payload))
    if type(elements) is not list:
        raise ValueError(f"expected a list, found {type(elements).__name__}")
    return elements


def _load_dict(payload: bytes) -> dict[str, Any]:
    items = _from_json(_load_text(payload))
    if type(items) is not dict:
        raise ValueError(f"expected a dict, found {type(items).__name__}")
    return items


_STRINGS = frozenset({str})

# The ids are part of the stored format: never reuse one.
_KINDS: dict[type, _Kind] = {
    str: _Kind(1, _dump_text, _load_text),
    bytes: _Kind(2, bytes, bytes),
    int: _Kind(3, _dump_int, _load_int),
    float: _Kind(4, _DOUBLE.pack, _load_double),
    bool: _Kind(5, _dump_bool, _load_bool),
    type(None): _Kind(6, _dump_nothing, _load_nothing),
    list: _Kind(7, _dump_flat, _load_list),
    tuple: _Kind(8, _dump_flat, lambda payload: tuple(_load_list(payload))),
    set: _Kind(9, _dump_flat, lambda payload: set(_load_list(payload))),
    frozenset: _Kind(10, _dump_flat, lambda payload: frozenset(_load_list(payload))),
    dict: _Kind(11, _dump_dict, _load_dict),
}

LOADERS: dict[int, Callable[[bytes], Any]] = {kind.id: kind.load for kind in _KINDS.values()}
"""From the id in a record to what rebuilds the value; a loader may raise any `Exception` on a payload it rejects."""


def dump(value: Any) -> tuple[int, bytes] | None:
    """(id, payload) of a value of a native kind, else None."""
    kind = _KINDS.get(type(value))
    if kind is None:
        return None
    payload = kind.dump(value)
    return None if payload is None else (kind.id, payload)
