"""Cached functions: kept by their arguments, computed once, expired by name."""

import asyncio
import inspect
import secrets
import time
from functools import partial
from typing import ClassVar

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache, caches
from django.db import transaction
from django.test import override_settings

from cacheplus import cached, expire_tags
from cacheplus.backends.locmem import LocMemCache
from cacheplus.recorder import recording
from cacheplus.testing.calls import at_once


class Broken(LocMemCache):
    faults = (ConnectionError,)

    def _read(self, names):
        raise ConnectionError


class Reading(LocMemCache):
    reads: ClassVar = []

    def _read(self, names):
        self.reads.append(names)
        return super()._read(names)


def using(backend):
    """A test with one more alias, "odd"."""
    return pytest.mark.parametrize("stores", [backend], indirect=True)


@pytest.fixture(autouse=True)
def stores(request):
    backend = {"BACKEND": "cacheplus.backends.locmem.LocMemCache"}
    entries = {name: {**backend, "LOCATION": secrets.token_hex(8)} for name in ("default", "other")}
    if hasattr(request, "param"):
        entries["odd"] = {"BACKEND": f"{__name__}.{request.param}", "LOCATION": secrets.token_hex(8)}
    entries["django"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    with override_settings(CACHES=entries):
        yield


class Counter:
    """Makes functions that say how often they ran."""

    def __init__(self, **options):
        self.calls = []

        @cached(60, **options)
        def function(a, b=2):
            """Adds."""
            self.calls.append((a, b))
            return [a, b]

        self.function = function


class TestAFunction:
    def test_runs_once_for_each_set_of_arguments(self):
        counter = Counter()
        assert [counter.function(1), counter.function(1, 2), counter.function(a=1, b=2)] == [[1, 2]] * 3
        assert counter.function(1, 3) == counter.function(1, b=3) == [1, 3]
        assert counter.function("1") == ["1", 2]
        assert counter.calls == [(1, 2), (1, 3), ("1", 2)]

    def test_gives_each_caller_a_result_of_its_own(self):
        counter = Counter()
        counter.function(1).append("changed")
        assert counter.function(1) == [1, 2]

    def test_is_still_that_function(self):
        function = Counter().function
        assert (function.__name__, function.__doc__) == ("function", "Adds.")
        assert list(inspect.signature(function).parameters) == ["a", "b"]
        assert "function" in repr(function)

    def test_keeps_none(self):
        calls = []

        @cached
        def nothing():
            calls.append(1)

        assert [nothing(), nothing()] == [None, None]
        assert len(calls) == 1

    def test_that_raises_keeps_nothing(self):
        calls = []

        @cached()
        def fail():
            calls.append(1)
            raise LookupError("no such row")

        for _ in range(2):
            with pytest.raises(LookupError, match="no such row"):
                fail()
        assert len(calls) == 2

    def test_runs_once_for_many_who_ask_at_once(self):
        calls = []

        @cached(60)
        def slow():
            calls.append(1)
            time.sleep(0.3)
            return "slow"

        assert at_once([slow] * 50) == ["slow"] * 50
        assert len(calls) == 1

    @using("Reading")
    def test_costs_one_round_trip_for_a_hit(self):
        counter = Counter(cache="odd", tags=["a", "b"])
        counter.function(1)
        del Reading.reads[:]
        counter.function(1)
        assert len(Reading.reads) == 1

    @using("Broken")
    def test_survives_a_cache_that_fails(self):
        counter = Counter(cache="odd")
        assert [counter.function(1), counter.function(1)] == [[1, 2]] * 2
        assert len(counter.calls) == 2

    def test_needs_an_alias_of_ours(self):
        with pytest.raises(TypeError, match=r"function cannot be cached on alias 'django'.*none of cacheplus"):
            Counter(cache="django").function(1)

    def test_serves_the_old_result_while_a_new_one_is_made(self):
        calls = []

        @cached(0.05, stale=60)
        def counted():
            calls.append(1)
            return len(calls)

        assert counted() == 1
        time.sleep(0.1)
        assert counted() == 1
        deadline = time.monotonic() + 30
        while counted.peek() != 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)


class TestOptions:
    def test_an_alias(self):
        counter = Counter(cache="other")
        counter.function(1)
        key = counter.function.key(1)
        assert (key in caches["other"], key in caches["default"]) == (True, False)

    def test_a_version(self):
        counter = Counter(version=5)
        counter.function(1)
        assert cache.get(counter.function.key(1), version=5) == counter.function.peek(1) == [1, 2]
        assert counter.function.key(1) not in cache

    def test_a_name_for_the_function(self):
        assert Counter(key="sum").function.key(1).startswith("cached:sum:")

    def test_a_key_of_the_sites_own(self):
        counter = Counter(key=lambda a, b=2: f"{a}-only")
        assert counter.function(1, 2) == counter.function(1, 3) == [1, 2]
        assert counter.function.key(1).endswith(":1-only")

    def test_a_key_function_has_to_give_a_string(self):
        with pytest.raises(TypeError, match="gave 5, which is no string"):
            Counter(key=lambda a: 5).function(1)

    def test_unless(self):
        counter = Counter(unless=lambda a, b=2: a < 0)
        for _ in range(2):
            counter.function(-1)
            counter.function(1)
        assert counter.calls == [(-1, 2), (1, 2), (-1, 2)]

    @pytest.mark.parametrize("tags", [["row:1"], lambda a, b=2: [f"row:{a}"]], ids=["names", "a function"])
    def test_tags(self, tags):
        counter = Counter(tags=tags)
        counter.function(1)
        expire_tags("row:1")
        assert counter.function.peek(1) is None

    def test_a_long_name_fits_every_store(self):
        assert len(Counter(key="x" * 400).function.key(1)) < 220

    def test_no_parentheses(self):
        assert cached(len)("four") == 4


class TestCalls:
    def test_expire_ends_one_result(self):
        counter = Counter()
        counter.function(1), counter.function(2)
        assert counter.function.expire(1)
        assert [counter.function.peek(1), counter.function.peek(2)] == [None, [2, 2]]
        assert not counter.function.expire(1)

    def test_expire_all_ends_every_result(self):
        counter, other = Counter(), Counter(key="another")
        counter.function(1), counter.function(2), other.function(1)
        assert counter.function.expire_all()
        assert [counter.function.peek(1), counter.function.peek(2), other.function.peek(1)] == [None, None, [1, 2]]

    def test_expire_during_a_computation_keeps_its_result_out(self):
        for _ in range(20):

            @cached(60)
            def function(a):
                function.expire(a)
                return "stale"

            assert function(1) == "stale"
            assert function.peek(1) is None

    def test_expire_ends_what_was_made_from_it_on_whatever_alias(self):
        inner = Counter(cache="other").function

        @cached(60)
        def outer():
            return inner(1)

        outer()
        inner.expire(1)
        assert outer.peek() is None

    @pytest.mark.django_db(transaction=True)
    def test_expire_in_a_transaction_counts_again_when_it_commits(self):
        counter = Counter()
        with transaction.atomic():
            counter.function.expire(1)
            counter.function(1)
        assert counter.function.peek(1) is None

    def test_refresh_computes_whatever_is_kept(self):
        counter = Counter()
        counter.function(1)
        assert counter.function.refresh(1) == [1, 2]
        assert len(counter.calls) == 2
        assert counter.function(1) == [1, 2]
        assert len(counter.calls) == 2

    def test_refresh_keeps_nothing_that_was_expired_meanwhile(self):
        @cached(60)
        def function():
            function.expire()
            return "stale"

        assert function.refresh() == "stale"
        assert function.peek() is None

    def test_peek_computes_nothing(self):
        counter = Counter()
        assert counter.function.peek(1) is None
        assert counter.calls == []

    def test_uncached_neither_looks_nor_keeps(self):
        counter = Counter()
        counter.function.uncached(1)
        assert counter.function.peek(1) is None
        assert counter.function.__wrapped__ is counter.function.uncached


class Shop:
    calls = 0

    def __init__(self, number):
        self.number = number

    def __cache_key__(self):
        return self.number

    @cached(60)
    def income(self, year):
        type(self).calls += 1
        return self.number * year

    @cached(60)
    async def aincome(self, year):
        return self.number * year

    @classmethod
    @cached(60)
    def total(cls):
        return 5

    @staticmethod
    @cached(60)
    def rate():
        return 7

    @property
    @cached(60)
    def name(self):
        return f"shop {self.number}"


class Anonymous:
    @cached(60)
    def method(self):
        return 1


class TestAMethod:
    def test_is_kept_by_the_declared_identity_of_its_instance(self):
        before = Shop.calls
        assert [Shop(2).income(5), Shop(2).income(year=5), Shop(3).income(5)] == [10, 10, 15]
        assert Shop.calls == before + 2

    def test_has_the_calls_of_a_function(self):
        shop = Shop(2)
        assert shop.income.refresh(5) == 10
        assert shop.income.key(5) == Shop.income.key(shop, 5)
        assert shop.income.peek(5) == Shop(2).income.peek(5) == 10
        assert shop.income.expire(5)
        assert shop.income.peek(5) is None
        assert shop.income.uncached(5) == 10
        shop.income(5)
        assert shop.income.expire_all()
        assert shop.income.peek(5) is None

    def test_of_an_instance_that_says_not_what_it_is_cannot_be_kept(self):
        with pytest.raises(TypeError, match=r"argument 'self'.*__cache_key__"):
            Anonymous().method()

    def test_may_be_one_of_the_class_or_a_property(self):
        assert (Shop.total(), Shop(1).total(), Shop.rate(), Shop(4).name, Shop(4).name) == (5, 5, 7, "shop 4", "shop 4")

    def test_may_be_async(self):
        assert inspect.iscoroutinefunction(Shop.aincome) or asyncio.iscoroutinefunction(Shop.aincome)
        assert asyncio.run(Shop(2).aincome(5)) == 10


class TestAnAsyncFunction:
    def test_has_calls_that_are_awaited(self):
        calls = []

        @cached(60, tags=["tag"])
        async def function(a):
            calls.append(a)
            await asyncio.sleep(0.1)
            return [a]

        async def use():
            found = await asyncio.gather(*(function(1) for _ in range(100)))
            assert found == [[1]] * 100
            assert len(calls) == 1
            assert await function.peek(1) == [1]
            assert await function.refresh(1) == [1]
            assert await function.uncached(1) == [1]
            assert len(calls) == 3
            assert await function.expire(1)
            assert await function.peek(1) is None
            await function(2)
            assert await function.expire_all()
            assert await function.peek(2) is None
            return function.key(1)

        assert async_to_sync(use)().startswith("cached:tests.test_functions.")

    def test_honours_unless(self):
        @cached(60, unless=lambda: True)
        async def function():
            return "computed"

        assert asyncio.run(function()) == "computed"
        assert asyncio.run(function.peek()) is None

    def test_hands_its_tags_outward(self):
        @cached(60, tags=["tag"])
        async def function():
            return 1

        async def use():
            with recording() as recorder:
                await function()
            return recorder.split(caches["default"].operations.space)[0]

        assert "tag" in asyncio.run(use())


def test_only_functions_can_be_cached():
    with pytest.raises(TypeError, match="cached decorates a function"):
        cached(60)(5)
    with pytest.raises(TypeError, match="cached decorates a function"):
        cached(60)(classmethod(len))


def test_all_threads_that_expire_and_ask_see_what_is_new():
    data = [0]

    @cached(60)
    def read():
        return data[0]

    def write_and_read():
        data[0] += 1
        least = data[0]
        read.expire()
        return read() >= least

    assert all(at_once([partial(write_and_read)] * 8))
