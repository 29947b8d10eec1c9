"""What each call costs in trips to the store, and what it does when the store fails in the middle."""

import logging
import secrets
from typing import ClassVar

import pytest

from cacheplus.backends.landing import Unshared
from cacheplus.backends.locmem import LocMemCache
from cacheplus.exceptions import CacheFault, LockNotAcquired
from cacheplus.signals import cache_error, tags_expired
from cacheplus.store import FAULT_ANSWERS, Direct, Native, run
from tests.stores import CountingStore, SteppedStore


@pytest.fixture
def cache():
    return LocMemCache(secrets.token_hex(8), {"TIMEOUT": 60})


class Operated:
    """The operations of a cache, called plainly, with the trips that each of them takes."""

    def __init__(self, cache):
        self.store = CountingStore(cache)
        self.operations = cache.operations

    def __getattr__(self, name):
        return lambda *args, **kwargs: run(getattr(self.operations, name)(self.store, *args, **kwargs))

    def trips(self, name, *args, **kwargs):
        self.store.calls.clear()
        getattr(self, name)(*args, **kwargs)
        return self.store.calls


class TestTrips:
    @pytest.fixture
    def operated(self, cache):
        cache.set("int", 1)
        cache.set("text", "value")
        cache.set("tagged", "value", tags=["a", "b"])
        cache.set("tagged-int", 1, tags=["a"])
        cache.set("dead", 1, tags=["dead"])
        cache.expire_tags("dead")
        return Operated(cache)

    @pytest.mark.parametrize(
        ("call", "trips"),
        [
            (("get", "missing", None, None), ["read"]),
            (("get", "text", None, None), ["read"]),
            (("get", "tagged", None, None), ["read", "read"]),
            (("get_many", ["int", "text", "missing"], None), ["read"]),
            (("get_many", ["int", "text", "tagged", "tagged-int", "dead"], None), ["read", "read"]),
            (("get_many", [], None), []),
            (("has_key", "text", None), ["read"]),
            (("set", "key", "value", 60, None), ["write"]),
            (("set", "key", "value", 0, None), ["remove"]),
            (("set_many", {"x": 1, "y": 2}, 60, None), ["write"]),
            (("set_many", {}, 60, None), []),
            (("add", "key", "value", 60, None), ["add"]),
            (("delete", "text", None), ["remove"]),
            (("delete_many", ["text", "int"], None), ["remove"]),
            (("delete_many", [], None), []),
            (("incr", "int", 1, None), ["increment"]),
            (("incr", "tagged-int", 1, None), ["increment", "read", "read", "ttl", "swap"]),
            (("expire_tags", "a", "b"), ["read", "swap", "remove"]),
            (("expire_tags",), []),
            (("clear", False), ["clear"]),
        ],
        ids=lambda each: " ".join(map(str, each))[:40],
    )
    def test_are_as_few_as_can_be(self, operated, call, trips):
        assert operated.trips(*call) == trips

    def test_a_tagged_set_reads_the_stamps_once_and_writes(self, operated):
        assert operated.trips("set", "key", "value", 60, None, tags=["a", "b"]) == ["read", "write"]
        assert operated.trips("set_many", {"x": 1, "y": 2}, 60, None, tags=["a"]) == ["read", "write"]

    @pytest.mark.parametrize(
        ("arguments", "trips"),
        [
            (("text", lambda: "value"), ["read"]),
            (("missing", lambda: "value"), ["read", "add", "swap"]),
            (("missing", lambda: "value", 60, None, ["a", "b"]), ["read", "add", "swap"]),
            (("missing", lambda: "value", 60, None, ["new"]), ["read", "add", "read", "add_many", "read", "swap"]),
            (("dead", lambda: "value"), ["read", "read", "swap", "swap"]),
            (("missing", lambda: Unshared("value")), ["read", "add", "swap"]),
            (("missing", lambda: "value", 0), ["read"]),
        ],
        ids=["hit", "miss", "known tags", "new tag", "dead record", "may not be shared", "not to be stored"],
    )
    def test_a_computation_takes_as_few_as_can_be(self, operated, cache, arguments, trips):
        cache.__dict__["_direct"] = operated.store
        cache.compute(cache.computing.wanted(*arguments))
        assert operated.store.calls == trips

    def test_what_may_not_be_shared_takes_one_from_then_on(self, operated, cache):
        cache.__dict__["_direct"] = operated.store
        ask = cache.computing.wanted("missing", lambda: Unshared("value"))
        cache.compute(ask)
        operated.store.calls.clear()
        cache.compute(ask)
        assert operated.store.calls == ["read"]

    def test_many_computations_take_one_batch_and_a_swap_each(self, operated, cache):
        cache.__dict__["_direct"] = operated.store
        cache.get_or_set_many(["text", "x", "y"], lambda keys: dict.fromkeys(keys, "value"))
        assert operated.store.calls == ["read", "add_many", "swap", "swap"]
        operated.store.calls.clear()
        cache.get_or_set_many(["text", "x", "y"], lambda keys: dict.fromkeys(keys, "value"))
        assert operated.store.calls == ["read"]

    def test_a_literal_takes_two(self, operated):
        assert operated.trips("get_or_add", "missing", "value", 60, None, ()) == ["read", "add"]
        assert operated.trips("get_or_add", "text", "value", 60, None, ()) == ["read"]


class TestFailure:
    """The same cache, one of whose primitives fails."""

    class Broken(LocMemCache):
        faults = (ConnectionError,)
        broken = ()

        def __getattribute__(self, name):
            if name.startswith("_") and name.lstrip("_") in super().__getattribute__("broken"):
                raise ConnectionError("the server is gone")
            return super().__getattribute__(name)

    @pytest.fixture
    def make(self):
        location = secrets.token_hex(8)

        def make(on_fault, *broken):
            cache = self.Broken(location, {"OPTIONS": {"ON_FAULT": on_fault}})
            cache.broken = broken
            return cache

        return make

    CALLS: ClassVar = {
        "get": (("read",), lambda cache: cache.get("key", "default"), "default"),
        "get_many": (("read",), lambda cache: cache.get_many(["key"]), {}),
        "has_key": (("read",), lambda cache: cache.has_key("key"), False),
        "ttl": (("ttl",), lambda cache: cache.ttl("key"), 0),
        "set": (("write",), lambda cache: cache.set("key", "new"), None),
        "set_many": (("write",), lambda cache: cache.set_many({"key": "new", "b": 1}), ["key", "b"]),
        "add": (("add",), lambda cache: cache.add("free", "new"), False),
        "touch": (("touch",), lambda cache: cache.touch("key"), False),
        "delete": (("remove",), lambda cache: cache.delete("key"), False),
        "delete_many": (("remove",), lambda cache: cache.delete_many(["key"]), None),
        "clear": (("clear",), lambda cache: cache.clear(), None),
        "expire_tags": (("remove",), lambda cache: cache.expire_tags("tag"), 0),
        "get_or_set": (("read", "add"), lambda cache: cache.get_or_set("free", lambda: "computed"), "computed"),
    }

    @pytest.mark.parametrize("call", CALLS)
    def test_raises_by_default(self, make, call):
        broken, ask, _ = self.CALLS[call]
        make("raise").set("key", "value")
        with pytest.raises(ConnectionError):
            ask(make("raise", *broken))

    @pytest.mark.parametrize("call", CALLS)
    def test_is_a_miss_where_the_alias_says_so(self, make, call):
        broken, ask, answer = self.CALLS[call]
        make("raise").set("key", "value")
        assert ask(make("miss", *broken)) == answer

    def test_of_a_counter_has_no_harmless_answer(self, make):
        make("raise").set("key", 1)
        with pytest.raises(CacheFault, match="could not increment"):
            make("miss", "increment").incr("key")
        with pytest.raises(ConnectionError):
            make("raise", "increment").incr("key")
        assert make("raise").get("key") == 1

    def test_gives_nobody_a_lock(self, make):
        with pytest.raises(LockNotAcquired), make("miss", "add").lock("key", wait=0.01):
            pytest.fail("entered without the lock")

    def test_of_a_write_takes_the_old_value_with_it(self, make):
        class Full(LocMemCache):
            def _write(self, items, ttl):
                return [name for name in items if name.endswith("large")]

        cache = Full(make("raise")._location, {})
        make("raise").set_many({"large": "old", "other": "old"})
        assert cache.set_many({"large": "new", "other": "new"}) == ["large"]
        assert cache.get_many(["large", "other"]) == {"other": "old"}

    def test_in_the_stamps_stores_nothing_that_could_not_be_expired(self, make):
        cache = make("miss", "add", "add_many")
        cache.set("key", "value", tags=["tag"])
        assert make("raise").get("key") is None
        assert make("miss", "add", "add_many").set_many({"key": "value"}, tags=["tag"]) == ["key"]

    def test_is_told_once_in_a_while_and_without_the_key(self, make, caplog):
        told = []
        listener = lambda **kwargs: told.append((kwargs["operation"], type(kwargs["error"])))  # noqa: E731
        cache_error.connect(listener)
        cache = make("miss", "read")
        try:
            with caplog.at_level(logging.WARNING, "cacheplus"):
                for _ in range(5):
                    cache.get("a-secret-key")
        finally:
            cache_error.disconnect(listener)
        assert told == [("read", ConnectionError)] * 5
        assert len(caplog.records) <= 1
        assert "a-secret-key" not in caplog.text

    def test_is_a_miss_to_the_layers_above_whatever_the_alias_says(self, make):
        cache = make("raise", "read")
        get = lambda store: cache.operations.get(store, "key", "default", None)  # noqa: E731
        assert cache.drive(get, "fault") == "fault"

    def test_that_is_no_fault_of_the_store_is_never_hidden(self, make):
        class Wrong(LocMemCache):
            def _read(self, names):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            Wrong(make("miss")._location, {"OPTIONS": {"ON_FAULT": "miss"}}).get("key")

    def test_has_an_answer_for_every_primitive(self):
        primitives = {name for name in vars(Direct.__mro__[1]) if not name.startswith("_")} - {"increment"}
        assert set(FAULT_ANSWERS) == primitives


class TestIncrement:
    def test_gives_up_on_a_value_that_never_stands_still(self, cache):
        class Contended(LocMemCache):
            def _swap(self, *args):
                return False

        cache = Contended(cache._location, {})
        cache.set("key", 1.5)
        with pytest.raises(RuntimeError, match="'key' changed"):
            cache.incr("key")

    def test_across_an_expiry_leaves_nothing(self, cache):
        class Late(LocMemCache):
            def _ttl(self, name):
                self._remove([name])
                return super()._ttl(name)

        cache = Late(cache._location, {})
        cache.set("key", 1.5)
        with pytest.raises(ValueError, match="not found"):
            cache.incr("key")
        assert cache._read([cache.make_key("key")]) == {}


class TestDriver:
    def test_an_operation_that_suspends_cannot_be_driven_plainly(self, cache):
        with pytest.raises(RuntimeError, match="must be awaited"):
            run(cache.operations.get(SteppedStore(cache), "key", None, None))

    async def test_the_native_store_awaits_the_twins(self, cache):
        class Awaited(LocMemCache):
            async def _aread(self, names):
                return {names[0]: 5}

        cache = Awaited(cache._location, {})
        assert await cache.operations.get(Native(cache), "key", None, None) == 5

    async def test_a_backend_with_an_async_client_is_never_called_plainly(self, cache):
        class OnlyAsync(LocMemCache):
            is_native_async = True

            async def _aread(self, names):
                return LocMemCache._read(self, names)

            async def _awrite(self, items, ttl):
                return LocMemCache._write(self, items, ttl)

            async def _aadd(self, name, stored, ttl):
                return LocMemCache._add(self, name, stored, ttl)

            def _read(self, *args):
                raise AssertionError("a blocking call on the loop")

            _write = _add = _read

        cache = OnlyAsync(cache._location, {})
        await cache.aset("key", "value")
        assert await cache.aget("key") == "value"
        assert await cache.aget_or_set("other", "computed") == "computed"
        assert await cache.aget_many(["key", "other"]) == {"key": "value", "other": "computed"}


def test_versions_without_end_take_no_room(cache):
    for version in range(1000):
        cache.set("key", version, version=version)
    assert len(cache._seals) <= 64
    assert cache.get("key", version=999) == 999


def test_an_expiry_is_told_with_its_tags(cache):
    told = []
    listener = lambda sender, tags, **_: told.append((sender, tuple(tags)))  # noqa: E731
    tags_expired.connect(listener)
    try:
        cache.expire_tags("a", "b", "a")
    finally:
        tags_expired.disconnect(listener)
    assert told == [(LocMemCache, ("a", "b"))]
