import struct
from collections import OrderedDict
from enum import IntEnum

import pytest
from hypothesis import given

from cacheplus.codecs import native
from tests.codecs.values import BEYOND_DIGITS, LONE_SURROGATES, form
from tests.codecs.values import native as native_values


def round_trip(value):
    dumped = native.dump(value)
    assert dumped is not None
    kind, payload = dumped
    assert type(payload) is bytes
    return native.LOADERS[kind](payload)


class Colour(IntEnum):
    RED = 1


class Markup(str):
    __slots__ = ()


class TestDump:
    @pytest.mark.parametrize(
        "value",
        [
            "",
            "naïve \x00 \n",
            LONE_SURROGATES,
            b"",
            b"\x00\xff",
            0,
            -1,
            127,
            128,
            -128,
            -129,
            2**63,
            BEYOND_DIGITS,
            -BEYOND_DIGITS,
            0.0,
            -0.0,
            float("inf"),
            float("nan"),
            5e-324,
            True,
            False,
            None,
            [],
            [1, "a", None, 2.5, True],
            (),
            (1,),
            set(),
            pytest.param({1, "a"}, id="set-of-two"),  # in no order, and workers have to agree on its name
            frozenset({None}),
            {},
            {"b": 1, "a": float("nan")},
            [LONE_SURROGATES, "\U0001f600"],
            {LONE_SURROGATES: -0.0},
        ],
        ids=lambda value: repr(value)[:20] if not isinstance(value, int) else f"int-{value.bit_length()}",
    )
    def test_brings_a_value_back_exactly(self, value):
        assert form(round_trip(value)) == form(value)

    @given(native_values)
    def test_every_native_value_comes_back_or_is_left_to_the_serializer(self, value):
        if native.dump(value) is not None:
            assert form(round_trip(value)) == form(value)

    @pytest.mark.parametrize(
        "value",
        [
            Markup("safe"),
            Colour.RED,
            OrderedDict(a=1),
            bytearray(b"a"),
            [[1]],
            [b"a"],
            (Colour.RED,),
            [Markup("a")],
            {1: "a"},
            {"a": {"b": 1}},
            {Markup("a"): 1},
            {True: 1},
            [BEYOND_DIGITS],
            1j,
            object(),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_leaves_what_would_change_to_the_serializer(self, value):
        assert native.dump(value) is None


class TestLoaders:
    @pytest.mark.parametrize(
        ("like", "payload"),
        [
            ("text", b"\xff"),
            (1.5, b"123"),
            (True, b"\x02"),
            (True, b""),
            (None, b"x"),
            ([1], b'{"a": 1}'),
            ((1,), b'"ab"'),
            ({1}, b"[[1]]"),
            ({"a": 1}, b"[1]"),
            ([1], b"[1"),
            ([1], b"[" * 100_000),
        ],
        ids=str,
    )
    def test_reject_a_payload_of_another_shape(self, like, payload):
        kind, _ = native.dump(like)
        with pytest.raises((ValueError, TypeError, RecursionError, struct.error)):
            native.LOADERS[kind](payload)
