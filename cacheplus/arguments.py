"""Keys from arguments: two calls have one key exactly if they mean the same call."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from pathlib import PurePath
from types import FunctionType
from typing import Any
from uuid import UUID

from django.db.models import Model
from django.utils.functional import Promise
from django.utils.safestring import SafeString

# Types whose repr tells their values apart.
_BY_REPR = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    date,
    datetime,
    time,
    timedelta,
    Decimal,
    UUID,
    range,
    SafeString,
)


class UnkeyedError(TypeError):
    """A value that nothing tells from another of its type."""


class Arguments:
    """The arguments of one function, however a call gives them."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = name_of(function)
        self._signature = inspect.signature(function)

    def digest(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """The same for all calls that mean the same, whether by position, by name or by default.

        Raises TypeError for a call that does not fit the function, or that holds a value which cannot be told apart.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        parts = [_joined("", (name, self._said(name, value))) for name, value in bound.arguments.items()]
        return digest("".join(parts))

    def _said(self, name: str, value: Any) -> str:
        try:
            return said(value)
        except UnkeyedError as error:
            raise TypeError(
                f"{self._name} cannot be cached by its argument {name!r}: {error}. Pass what identifies it, give its "
                "class a method __cache_key__, or give cached() a function as key=."
            ) from None


def digest(text: str) -> str:
    """40 letters that stand for `text`."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=20).hexdigest()


def name_of(what: Callable[..., Any]) -> str:
    """Module and qualified name."""
    return f"{what.__module__}.{what.__qualname__}"


def said(value: Any) -> str:
    """`value` as text, of which no two different values have the same. Raises `UnkeyedError` where there is none."""
    kind = type(value)
    if kind in _BY_REPR:
        return _joined(kind.__name__, [repr(value)])
    if hasattr(kind, "__cache_key__"):
        own = value.__cache_key__
        return _joined(name_of(kind), [said(own() if callable(own) else own)])
    for known, parts in _PARTS:
        if isinstance(value, known):
            return _joined(name_of(kind), parts(value))
    if dataclasses.is_dataclass(kind):
        return _joined(name_of(kind), (said(getattr(value, each.name)) for each in dataclasses.fields(kind)))
    raise UnkeyedError(f"a {name_of(kind)} says not what it is")


def _joined(kind: str, parts: Iterable[str]) -> str:
    """Each part with its length before it, so that no text can pass for another."""
    return "".join(f"{len(part)}:{part}" for part in (kind, "".join(f"{len(part)}:{part}" for part in parts)))


def _model(instance: Model) -> list[str]:
    if instance.pk is None:
        raise UnkeyedError(f"a {instance._meta.label} that was not saved has no primary key")
    return [instance._meta.label, said(instance.pk)]


def _function(function: FunctionType) -> list[str]:
    if "<" in function.__qualname__:
        raise UnkeyedError(f"{function.__qualname__} is one of many functions of that name")
    return [name_of(function)]


# By what a value of these types, or of subclasses, is told from others of its own type.
_PARTS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Iterable[str]]], ...] = (
    (Model, _model),
    (Enum, lambda value: [value.name]),
    (Promise, lambda value: [repr(str(value))]),
    ((list, tuple), lambda value: map(said, value)),
    ((set, frozenset), lambda value: sorted(map(said, value))),
    (dict, lambda value: sorted(_joined("", (said(key), said(each))) for key, each in value.items())),
    (type, lambda value: [name_of(value)]),
    (FunctionType, _function),
    (PurePath, lambda value: [str(value)]),
    ((str, bytes, int, float, Decimal, date, time, timedelta, UUID), lambda value: [repr(value)]),
)
