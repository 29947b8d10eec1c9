"""Serializers: what turns the values that are not native into bytes. `SERIALIZER` names one."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from hashlib import blake2b
from types import ModuleType
from typing import Any, ClassVar, Protocol, runtime_checkable

from cacheplus.codecs.extras import import_extra
from cacheplus.exceptions import BadRecord, Flaw

_JSON_KEYS = (str,)
_MSGPACK_KEYS = (str, bytes, int, float, bool, type(None))


@runtime_checkable
class Serializer(Protocol):
    """What a site may bring of its own: an object, a module, or a class to be called without arguments.

    `loads(dumps(value))` is what the next reader gets. `dumps` raises for a value it cannot write; whatever
    `loads` raises makes the record unreadable, which is a miss.
    """

    def dumps(self, value: Any, /) -> bytes:
        """The value as bytes."""

    def loads(self, data: bytes, /) -> Any:
        """The value again."""


class RecordSerializer(Serializer, Protocol):
    """A serializer as records know it."""

    @property
    def id(self) -> int:
        """Its number in stored records: part of the format, never reused."""

    @property
    def runs_code(self) -> bool:
        """Whether hostile bytes could run code in `loads`: then they need a signature, and an alias that writes it."""


class PickleSerializer:
    """Any picklable value; errors of pickling are let out as they are, as Django's `set` does."""

    id: ClassVar[int] = 32
    runs_code: ClassVar[bool] = True

    def dumps(self, value: Any, /) -> bytes:
        """The pickle, in the newest protocol of this Python."""
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def loads(self, data: bytes, /) -> Any:
        """The value; only ever called on bytes that the alias trusts."""
        return pickle.loads(data)


class JSONSerializer:
    """What JSON can say; instances of subclasses come back as their base, and tuples as lists, as JSON does.

    `dumps` raises `TypeError` for other values, and for keys that are no strings: JSON would turn 1 into "1".
    """

    id: ClassVar[int] = 33
    runs_code: ClassVar[bool] = False

    def __init__(self) -> None:
        refuse = _refusal("json")
        self._encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=refuse).encode

    def dumps(self, value: Any, /) -> bytes:
        """JSON text in UTF-8."""
        text = self._encode(value)
        _check_keys(value, "json", _JSON_KEYS)
        return text.encode("utf-8", "surrogatepass")

    def loads(self, data: bytes, /) -> Any:
        """The value of JSON text."""
        return json.loads(data.decode("utf-8", "surrogatepass"))


class MsgPackSerializer:
    """What MessagePack can say: as JSON, with bytes, and with scalars as keys; tuples come back as lists.

    `dumps` raises `TypeError` for other values, ints beyond 64 bits among them.
    """

    id: ClassVar[int] = 34
    runs_code: ClassVar[bool] = False

    def __init__(self) -> None:
        self._msgpack = import_extra("msgpack", "msgpack")
        self._refuse = _refusal("msgpack")

    def dumps(self, value: Any, /) -> bytes:
        """The packed value."""
        data: bytes = self._msgpack.packb(value, default=self._refuse, unicode_errors="surrogatepass")
        _check_keys(value, "msgpack", _MSGPACK_KEYS)
        return data

    def loads(self, data: bytes, /) -> Any:
        """The value; sizes that the data claim are bounded by its length."""
        return self._msgpack.unpackb(data, strict_map_key=False, unicode_errors="surrogatepass")


class CustomSerializer:
    """A site's own serializer. Its records carry a hash of its name, so that another one never reads them.

    Nothing is known of it, so it is treated as one that runs code.
    """

    id: ClassVar[int] = 255
    runs_code: ClassVar[bool] = True

    def __init__(self, serializer: Serializer) -> None:
        self._serializer = serializer
        self._name = _qualified_name(serializer)
        self._mark = blake2b(self._name.encode(), digest_size=8).digest()

    def dumps(self, value: Any, /) -> bytes:
        """The mark, then what the serializer made; `TypeError` if that is no bytes."""
        data = self._serializer.dumps(value)
        if not isinstance(data, bytes):
            raise TypeError(f"SERIALIZER {self._name}: dumps() must return bytes, not {type(data).__name__}.")
        return self._mark + data

    def loads(self, data: bytes, /) -> Any:
        """The value; `BadRecord` if another serializer wrote it."""
        if not data.startswith(self._mark):
            raise BadRecord(Flaw.SERIALIZER, f"not written by {self._name}")
        return self._serializer.loads(data[len(self._mark) :])


SERIALIZERS: dict[str, Callable[[], RecordSerializer]] = {
    "pickle": PickleSerializer,
    "json": JSONSerializer,
    "msgpack": MsgPackSerializer,
}

SAFE_SERIALIZERS: dict[int, Callable[[], RecordSerializer]] = {
    JSONSerializer.id: JSONSerializer,
    MsgPackSerializer.id: MsgPackSerializer,
}
"""Those whose records every alias may read, whatever it writes itself: they cannot run code."""


def make_serializer(spec: str | Serializer) -> RecordSerializer:
    """The serializer of that name, or one around the object given.

    Raises `ValueError` for an unknown name, `TypeError` for an object without `dumps` and `loads`, and
    `MissingExtra` where its library is not installed.
    """
    if isinstance(spec, str):
        if spec not in SERIALIZERS:
            raise ValueError(f"SERIALIZER {spec!r} is unknown; choose one of {_listed(SERIALIZERS)}, or a dotted path.")
        return SERIALIZERS[spec]()
    if not isinstance(spec, Serializer):
        raise TypeError(f"SERIALIZER {spec!r} must have the methods dumps(value) -> bytes and loads(data) -> value.")
    return CustomSerializer(spec() if isinstance(spec, type) else spec)


def _listed(names: dict[str, Any]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _refusal(name: str) -> Callable[[Any], Any]:
    """A `default` hook that names the type and the way out."""

    def refuse(value: Any) -> Any:
        # MessagePack hands over the ints that are too large for it.
        what = "an int beyond 64 bits" if isinstance(value, int) else _qualified_name(value)
        raise TypeError(f'SERIALIZER "{name}" cannot write {what}; convert it first, or use SERIALIZER "pickle".')

    return refuse


def _check_keys(value: Any, name: str, allowed: tuple[type, ...]) -> None:
    """Raise `TypeError` where a mapping within `value` has a key that would not come back as it is."""
    for mapping in _mappings(value):
        for key in mapping:
            if not isinstance(key, allowed):
                raise TypeError(
                    f'SERIALIZER "{name}" cannot keep the key {key!r} as {type(key).__name__}; '
                    'convert it first, or use SERIALIZER "pickle".'
                )


def _mappings(value: Any) -> Iterator[dict[Any, Any]]:
    """Every dict within `value`. The serializer went before: nothing is circular or too deep."""
    pending = [value]
    while pending:
        element = pending.pop()
        if isinstance(element, dict):
            yield element
            pending.extend(element.values())
        elif isinstance(element, list | tuple):
            pending.extend(element)


def _qualified_name(value: object) -> str:
    """The name of a module; of anything else, its class with its module."""
    if isinstance(value, ModuleType):
        return value.__name__
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"
