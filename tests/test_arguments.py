"""Keys from arguments: what means the same has one key, and nothing else."""

import dataclasses
import datetime as dt
import itertools
import uuid
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from typing import NamedTuple

import pytest
from django.contrib.auth.models import Group, User
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from cacheplus.arguments import Arguments, UnkeyedError, said


class Pair(NamedTuple):
    a: int
    b: int


class Colour(Enum):
    RED = 1


class Number(IntEnum):
    ONE = 1


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Shop:
    def __init__(self, number):
        self.number = number

    def __cache_key__(self):
        return self.number


class Branch(Shop):
    pass


DIFFERENT = [
    None, "None", 1, 1.0, True, "1", b"1", Decimal(1), Decimal("1.0"), complex(1), Colour.RED, Number.ONE, "Colour.RED",
    SafeString("1"), "", b"", (), [], set(), frozenset(), {}, (1,), [1], {1}, frozenset({1}), {1: 1}, {"1": 1}, ("1",),
    (1, 2), (12,), ("a", "b"), ("a,b",), ("a', 'b",), ("ab",), (("a",), "b"), ("a", ("b",)), [[]], [[], []], [[[]]],
    Pair(1, 2), Point(1, 2), Point(2, 1), {"a": 1, "b": 2}, {"a": 2, "b": 1}, {"ab": 12}, dt.date(2026, 1, 1),
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "2026-01-01", uuid.UUID(int=1),
    dt.timedelta(1), dt.time(1), range(1), range(0, 1, 2), PurePosixPath("1"), int, float, len.__class__,
    User(pk=1), User(pk=2), User(pk="1"), Group(pk=1), Shop(1), Shop("1"), Branch(1), dataclasses.field, -0.0, 0.0,
    float("nan"), "\ud800", "é", "é".encode(),
]  # fmt: skip


def test_no_two_different_values_say_the_same():
    for one, other in itertools.combinations(DIFFERENT, 2):
        assert said(one) != said(other), (one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        (User(pk=1, username="old"), User(pk=1, username="new")),
        (Shop(1), Shop(1)),
        (gettext_lazy("text"), gettext_lazy("text")),
    ],
    ids=["dict", "set", "model", "declared", "lazy"],
)
def test_equal_values_say_the_same(one, other):
    assert said(one) == said(other)


@pytest.mark.parametrize("value", [object(), User(), lambda: 1, iter(()), [object()], {"a": object()}, open])
def test_what_says_not_what_it_is_has_no_key(value):
    with pytest.raises(UnkeyedError):
        said(value)


class TestCalls:
    def digest(self, *args, **kwargs):
        def function(a, b=2, *rest, c=3, **others): ...

        return Arguments(function).digest(args, kwargs)

    def test_have_one_key_however_the_arguments_are_given(self):
        keys = {self.digest(1), self.digest(1, 2), self.digest(a=1), self.digest(1, b=2), self.digest(1, c=3, b=2)}
        assert len(keys) == 1

    def test_have_another_for_each_other_meaning(self):
        calls = [((1,), {}), ((1, 3), {}), ((1, 2, 3), {}), ((1,), {"c": 4}), ((1,), {"d": 3}), ((1, 2, (3,)), {})]
        assert len({self.digest(*args, **kwargs) for args, kwargs in calls}) == len(calls)

    def test_that_do_not_fit_are_refused_as_by_the_function(self):
        with pytest.raises(TypeError, match="missing a required argument: 'a'"):
            self.digest()

    def test_with_a_value_that_says_not_what_it_is_name_the_argument_and_the_way_out(self):
        with pytest.raises(TypeError, match=r"cannot be cached by its argument 'b': .*object.*__cache_key__.*key="):
            self.digest(1, b=object())
