"""Values to store, and a way to say that two of them are the same to the last bit and type."""

import struct
import sys
from collections.abc import Iterator
from math import isnan
from typing import Any

from hypothesis import strategies as st

texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
hashables = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
flat = (
    st.lists(scalars, max_size=8)
    | st.lists(scalars, max_size=8).map(tuple)
    | st.sets(hashables, max_size=8)
    | st.frozensets(hashables, max_size=8)
    | st.dictionaries(texts, scalars, max_size=8)
)
native = scalars | st.binary(max_size=40) | flat
nested = st.recursive(
    native,
    lambda children: (
        st.lists(children, max_size=4)
        | st.lists(children, max_size=4).map(tuple)
        | st.dictionaries(hashables, children, max_size=4)
    ),
    max_leaves=12,
)
json_like = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=12,
)

LONE_SURROGATES = "\ud83d\ude00"
BEYOND_DIGITS = 10 ** (sys.get_int_max_str_digits() + 1)


def form(value: Any) -> Any:
    """A form that is equal for values of the same types and content: True is not 1, -0.0 not 0.0, nan is nan."""
    kind = type(value)
    if kind is float:
        return kind, "nan" if isnan(value) else struct.pack(">d", value)
    if kind in {list, tuple}:
        return kind, [form(element) for element in value]
    if kind in {set, frozenset}:
        return kind, frozenset((type(element), form(element)) for element in value)
    if kind is dict:
        return kind, [(form(key), form(element)) for key, element in value.items()]
    return kind, value


def ints(value: Any) -> Iterator[int]:
    """Every int in lists and dicts within `value`."""
    if type(value) is int:
        yield value
    elif isinstance(value, list | dict):
        for element in value.values() if isinstance(value, dict) else value:
            yield from ints(element)
