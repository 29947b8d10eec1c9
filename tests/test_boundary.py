"""What becomes of calls, writes and expiries while a store fails, and when it is back."""

from __future__ import annotations

import os
import secrets
import threading
import time
from typing import ClassVar

import pytest

from cacheplus import faults
from cacheplus.backends.filebased import FileBasedCache
from cacheplus.backends.locmem import LocMemCache
from cacheplus.exceptions import CacheFault, CacheUnavailable, LockNotAcquired
from cacheplus.health import Health
from cacheplus.store import Direct, Native, run
from tests.processes import in_child
from tests.stores import CountingStore

PRIMITIVES = ("read", "write", "add", "add_many", "swap", "touch", "remove", "increment", "ttl", "clear")


class Failing:
    """A store whose primitives fail while they are in `broken`; what they cost stands in `asked`."""

    broken: tuple[str, ...] = ()

    def __getattribute__(self, name):
        if name.startswith("_") and name.lstrip("_").removeprefix("a") in super().__getattribute__("broken"):
            raise ConnectionError("the server is gone")
        if name == "_add" and "add" in super().__getattribute__("broken"):
            raise ConnectionError("the server is gone")
        return super().__getattribute__(name)


class Shared(Failing, LocMemCache):
    """As other processes see it; nobody waits for it, and only its callers reach it."""

    is_shared = True
    is_thread_sensitive = True


class Remote(Failing, LocMemCache):
    """As a server."""

    is_shared = True
    is_remote = True


class NativeRemote(Remote):
    """With an async client."""

    is_native_async = True


class Refusing(Remote):
    """As a server that is there and refuses."""

    answers = (ConnectionError,)


class Files(Failing, FileBasedCache):
    """On a disk."""


@pytest.fixture
def by_hand(monkeypatch):
    """Nobody looks after a store but the test."""
    monkeypatch.setattr(Health, "_ensure_healer", lambda *_: True)


@pytest.fixture
def clock(monkeypatch):
    """Time as stores see it, in seconds."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr("cacheplus.health.time", clock)
    return clock


@pytest.fixture(params=["raise", "miss"])
def on_fault(request):
    return request.param


@pytest.fixture
def make(on_fault, tmp_path):
    location = secrets.token_hex(8)

    def make(kind, **options):
        place = str(tmp_path) if issubclass(kind, FileBasedCache) else location
        return kind(place, {"TIMEOUT": 60, "OPTIONS": {"ON_FAULT": on_fault, **options}})

    return make


def attempt(call, *args, **kwargs):
    """Call what may fail."""
    try:
        return call(*args, **kwargs)
    except (OSError, CacheFault):
        return None


def elsewhere(cache):
    """The same store, as another process sees it."""
    kind = FileBasedCache if isinstance(cache, FileBasedCache) else LocMemCache
    return kind(cache._location, cache._params)


@pytest.mark.usefixtures("by_hand")
class TestAStoreThatIsLeftAlone:
    def test_is_not_asked_after_three_faults(self, make):
        cache = make(Remote)
        cache.set("key", "value")
        cache.broken = PRIMITIVES
        for _ in range(3):
            attempt(cache.get, "key")
        cache.broken = ()
        store = CountingStore(cache)
        with pytest.raises(CacheUnavailable, match="failed 3 times in a row, the last time with ConnectionError"):
            run(Direct(cache, is_strict=True).read(["key"]))
        assert attempt(run, cache.operations.get(store, "key", None, None)) is None
        assert cache.health.openings()[""].faults == 3

    CALLS: ClassVar = {
        "get": (lambda cache: cache.get("key", "default"), "default"),
        "get_many": (lambda cache: cache.get_many(["key"]), {}),
        "has_key": (lambda cache: cache.has_key("key"), False),
        "ttl": (lambda cache: cache.ttl("key"), 0),
        "set": (lambda cache: cache.set("key", "new"), None),
        "set_many": (lambda cache: cache.set_many({"key": "new", "b": 1}), ["key", "b"]),
        "add": (lambda cache: cache.add("free", "new"), False),
        "touch": (lambda cache: cache.touch("key"), False),
        "delete": (lambda cache: cache.delete("key"), False),
        "delete_many": (lambda cache: cache.delete_many(["key"]), None),
        "clear": (lambda cache: cache.clear(), None),
        "expire_tags": (lambda cache: cache.expire_tags("tag"), 0),
        "get_or_set": (lambda cache: cache.get_or_set("free", lambda: "computed"), "computed"),
        "incr": (lambda cache: cache.incr("key"), CacheFault),
        "incr_version": (lambda cache: cache.incr_version("key"), ValueError),
        "lock": (lambda cache: cache.lock("key", wait=0).__enter__(), LockNotAcquired),
    }

    @pytest.mark.parametrize("call", CALLS)
    def test_answers_every_call_by_its_kind(self, make, on_fault, call):
        ask, answer = self.CALLS[call]
        cache = make(Remote)
        cache.broken = PRIMITIVES
        for _ in range(3):
            attempt(cache.get, "key")
        if on_fault == "raise":
            with pytest.raises(CacheUnavailable):
                ask(cache)
        elif isinstance(answer, type):
            with pytest.raises(answer):
                ask(cache)
        else:
            assert ask(cache) == answer

    TWINS: ClassVar = {
        "get": (("key", "default"), "default"),
        "get_many": ((["key"],), {}),
        "has_key": (("key",), False),
        "ttl": (("key",), 0),
        "set": (("key", "new"), None),
        "set_many": (({"key": "new", "b": 1},), ["key", "b"]),
        "add": (("free", "new"), False),
        "touch": (("key",), False),
        "delete": (("key",), False),
        "delete_many": ((["key"],), None),
        "clear": ((), None),
        "expire_tags": (("tag",), 0),
        "get_or_set": (("free", lambda: "computed"), "computed"),
        "incr": (("key",), CacheFault),
        "decr": (("key",), CacheFault),
        "incr_version": (("key",), ValueError),
    }

    @pytest.mark.parametrize("kind", [Remote, NativeRemote], ids=["in a thread", "native"])
    @pytest.mark.parametrize("call", TWINS)
    async def test_answers_every_twin_by_its_kind(self, make, on_fault, call, kind):
        arguments, answer = self.TWINS[call]
        cache = make(kind)
        twin = getattr(cache, f"a{call}")
        cache.broken = PRIMITIVES
        # While the faults are met, and when they are no longer waited for.
        for _ in range(5):
            if on_fault == "raise":
                with pytest.raises(ConnectionError):
                    await twin(*arguments)
            elif isinstance(answer, type):
                with pytest.raises(answer):
                    await twin(*arguments)
            else:
                assert await twin(*arguments) == answer
        assert cache.health.openings()

    @pytest.mark.parametrize("kind", [Remote, NativeRemote], ids=["in a thread", "native"])
    async def test_gives_no_task_a_lock(self, make, on_fault, kind):
        cache = make(kind)
        cache.broken = PRIMITIVES
        for _ in range(5):
            with pytest.raises(ConnectionError if on_fault == "raise" else LockNotAcquired):
                async with cache.alock("key", wait=0.01):
                    pytest.fail("entered without the lock")

    def test_is_the_same_for_all_that_use_it(self, make):
        first, second, other = make(Remote), make(Remote), make(Remote, KEY_POLICY="hash")
        first.broken = PRIMITIVES
        for _ in range(3):
            attempt(first.get, "key")
        assert second.health is first.health
        with pytest.raises(CacheUnavailable):
            run(Direct(second, is_strict=True).read(["key"]))
        assert other.health is not first.health
        assert run(Direct(other, is_strict=True).read(["key"])) == {}

    async def test_is_left_alone_by_tasks_too(self, make):
        cache = make(Remote)
        cache.broken = PRIMITIVES
        for _ in range(3):
            with pytest.raises(ConnectionError):
                await Native(cache, is_strict=True).read(["key"])
        with pytest.raises(CacheUnavailable):
            await Native(cache, is_strict=True).read(["key"])

    def test_is_back_once_it_was_probed(self, make):
        cache = make(Remote)
        cache.set("key", "value")
        cache.broken = PRIMITIVES
        for _ in range(3):
            attempt(cache.get, "key")
        with pytest.raises(ConnectionError):
            cache.heal()
        cache.broken = ()
        cache.heal()
        assert cache.get("key") == "value"
        assert not cache.health.is_ailing

    def test_owes_what_it_is_not_asked_for(self, make):
        cache = make(Remote)
        cache.set_many({"a": "old", "b": "old", "c": "old", "d": "old"})
        cache.broken = PRIMITIVES
        for _ in range(3):
            attempt(cache.get, "d")
        attempt(cache.set, "a", "new")
        attempt(cache.delete, "b")
        attempt(cache.add, "c", "new")
        cache.broken = ()
        assert cache.pending_removals == 2
        cache.heal()
        assert elsewhere(cache).get_many(["a", "b", "c", "d"]) == {"c": "old", "d": "old"}

    def test_is_not_one_that_answers_with_errors(self, make):
        cache = make(Refusing)
        cache.set("key", "value")
        cache.broken = ("write",)
        for _ in range(5):
            attempt(cache.set, "other", "value")
        assert cache.get("key") == "value"

    def test_is_asked_now_and_then_by_a_call_where_no_thread_can_run(self, make, monkeypatch, clock):
        cache = make(Remote)
        cache.set("key", "value")
        cache.broken = PRIMITIVES
        for _ in range(3):
            attempt(cache.get, "key")
        cache.broken = ()
        monkeypatch.setattr(Health, "_ensure_healer", lambda *_: False)
        cache.health._seen_to_at = clock.now
        clock.now += 4
        assert attempt(cache.get, "key") is None
        clock.now += 2
        assert cache.get("key") == "value"
        assert not cache.health.is_ailing

    def test_counts_an_interrupt_for_nothing(self, make):
        class Interrupted(Remote):
            def _read(self, names):
                raise KeyboardInterrupt

        cache = make(Interrupted)
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                cache.get("key")
        assert not cache.health.is_ailing
        assert cache.add("key", "value")


class TestTheThreadThatLooksAfterAStore:
    def test_brings_an_idle_store_back_and_delivers_what_it_owes(self, make):
        cache = make(Remote)
        cache.set_many({"key": "old", "other": "value"})
        cache.broken = PRIMITIVES
        for _ in range(4):
            attempt(cache.delete, "key")
        assert cache.pending_removals == 1
        assert [thread.name for thread in threading.enumerate()].count("cacheplus") == 1
        cache.broken = ()
        assert ends(lambda: cache.health.is_ailing)
        assert elsewhere(cache).get_many(["key", "other"]) == {"other": "value"}
        assert ends(lambda: any(thread.name == "cacheplus" for thread in threading.enumerate()))

    def test_is_started_anew_in_a_child_of_fork(self, make, tmp_path):
        cache = make(Files)
        cache.set("key", "old")
        cache.broken = ("remove",)
        attempt(cache.delete, "key")
        assert cache.pending_removals == 1
        cache.health.forget()
        cache.health.owe(cache, [cache.make_key("key")])

        def child():
            cache.broken = ()
            assert cache.get("key") is None
            assert ends(lambda: cache.health.is_ailing)
            assert not elsewhere(cache).has_key("key")

        in_child(child)


def ends(condition, seconds=20):
    """Whether it stops being true, in time."""
    deadline = time.monotonic() + seconds
    while condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not condition()


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("kind", [Shared, Refusing, Files])
class TestAWriteThatFailed:
    def test_takes_the_old_value_with_it_where_a_removal_still_works(self, make, kind):
        cache = make(kind)
        cache.set("key", "old")
        cache.broken = ("write",)
        attempt(cache.set, "key", "new")
        assert elsewhere(cache).get("key") is None
        assert cache.pending_removals == 0

    def test_hides_the_old_value_until_it_can_be_removed(self, make, kind):
        cache = make(kind)
        cache.set_many({"key": "old", "other": "value"})
        cache.broken = ("write", "remove")
        attempt(cache.set, "key", "new")
        assert cache.get_many(["key", "other"]) == {"other": "value"}
        assert cache.ttl("key") == 0
        assert run(Direct(cache).ttl(cache.make_key("key"))) == 0
        assert not cache.has_key("key")
        assert elsewhere(cache).get("key") == "old"
        cache.broken = ()
        cache.heal()
        assert elsewhere(cache).get("key") is None
        assert cache.pending_removals == 0

    def test_is_settled_by_one_that_succeeds(self, make, kind):
        cache = make(kind)
        cache.set("key", "old")
        cache.broken = ("write", "remove")
        attempt(cache.set, "key", "new")
        cache.broken = ("remove",)
        cache.set("key", "newer")
        assert not cache.health.is_ailing
        assert cache.get("key") == "newer"
        assert cache.pending_removals == 0

    def test_is_not_settled_by_one_that_was_refused(self, make, kind):
        cache = make(kind)
        cache.set("key", "old")
        cache.broken = ("write", "remove")
        attempt(cache.set, "key", "new")
        cache.broken = ("remove",)
        cache._write = lambda items, ttl: list(items)
        assert run(Direct(cache).write({cache.make_key("key"): 5}, 60)) == [cache.make_key("key")]
        assert cache.pending_removals == 1
        assert cache.get("key") is None

    @pytest.mark.parametrize("name", ["add", "touch", "incr"])
    def test_does_not_let_the_old_value_decide(self, make, kind, name):
        cache = make(kind)
        cache.set("key", 1)
        cache.broken = ("write", "remove")
        attempt(cache.set, "key", 2)
        asked = {
            "add": lambda: cache.add("key", 5),
            "touch": lambda: cache.touch("key"),
            "incr": lambda: cache.incr("key"),
        }
        assert not attempt(lambda: quietly(asked[name]))
        cache.broken = ()
        if name == "incr":
            with pytest.raises(ValueError, match="not found"):
                cache.incr("key")
        else:
            assert asked[name]() is (name == "add")
        assert cache.get("key") == (5 if name == "add" else None)


def quietly(call):
    try:
        return call()
    except ValueError:
        return None


@pytest.mark.usefixtures("by_hand")
class TestWhatIsOwed:
    def test_is_nothing_after_a_failed_add_which_may_have_been_for_a_lock(self, make):
        cache = make(Remote)
        cache.broken = ("add", "swap", "touch", "increment")
        attempt(cache.add, "lock", 1)
        attempt(cache.touch, "lock", 1)
        attempt(lambda: quietly(lambda: cache.incr("lock")))
        assert cache.pending_removals == 0

    def test_is_delivered_by_the_next_call_of_a_store_that_no_other_thread_reaches_once_a_second(self, make, clock):
        cache = make(Shared)
        cache.set_many({"key": "old", "other": "value"})
        cache.broken = ("remove",)
        failed = lambda: faults.counts().get((cache.alias, "remove", "ConnectionError"), 0)  # noqa: E731
        before = failed()
        attempt(cache.delete, "key")
        for _ in range(5):
            assert cache.get("other") == "value"
        # One by the call itself, one by the first of the others.
        assert failed() == before + 2
        cache.broken = ()
        assert cache.get("other") == "value"
        assert elsewhere(cache).get("key") == "old"
        clock.now += 1.5
        assert cache.get("other") == "value"
        assert elsewhere(cache).get("key") is None

    def test_stays_owed_while_what_is_done_may_be_undone(self, make):
        class Transactional(Shared):
            def is_lasting(self):
                return False

        cache = make(Transactional)
        cache.broken = ("remove",)
        attempt(cache.delete, "key")
        cache.broken = ()
        cache.set("key", "value")
        assert cache.pending_removals == 1

    def test_includes_a_clear(self, make):
        cache = make(Remote)
        cache.set_many({"a": 1, "b": 2})
        cache.broken = ("clear",)
        attempt(cache.clear)
        assert cache.get_many(["a", "b"]) == {}
        cache.set("a", 3)
        assert cache.get("a") is None
        cache.broken = ()
        cache.heal()
        assert elsewhere(cache).get_many(["a", "b"]) == {}
        cache.set("a", 3)
        assert cache.get("a") == 3

    def test_is_settled_by_a_clear(self, make):
        cache = make(Remote)
        cache.broken = ("remove",)
        attempt(cache.delete_many, ["a", "b"])
        cache.clear()
        assert cache.pending_removals == 0

    def test_is_everything_where_it_is_too_much(self, make, monkeypatch):
        cache = make(Refusing)
        monkeypatch.setattr(cache.health.owed, "_most", 10)
        cache.set("other", "value")
        cache.broken = ("remove",)
        for number in range(12):
            attempt(cache.delete, number)
        assert cache.get("other") is None
        cache.broken = ()
        cache.heal()
        assert elsewhere(cache).get("other") is None
        assert not cache.health.is_ailing

    def test_is_never_all_of_a_store_with_other_things_in_it(self, make, monkeypatch, caplog):
        class Database(Refusing):
            holds_others = True
            supports_scoped_clear = False

        cache = make(Database)
        monkeypatch.setattr(cache.health.owed, "_most", 10)
        cache.set("other", "value")
        cache.broken = ("remove",)
        for number in range(12):
            attempt(cache.delete, number)
        assert "2 were forgotten" in caplog.text
        assert cache.get("other") == "value"
        cache.broken = ("remove", "clear")
        attempt(cache.clear)
        assert cache.get("other") == "value"

    def test_is_not_waited_for_by_a_server_that_refuses_to_delete(self, make):
        cache = make(Refusing)
        cache.set_many({"key": "old", "other": "value"})
        cache.broken = ("remove",)
        attempt(cache.delete, "key")
        cache.health.failed(cache, [""], TimeoutError(), 1.0)
        cache.heal()
        assert cache.get_many(["key", "other"]) == {"other": "value"}
        assert cache.pending_removals == 1


class Nodes(LocMemCache):
    """Two servers, each with the keys that begin with its name; one may be down."""

    is_shared = True
    is_remote = True
    down = ""

    def servers_of(self, names):
        return {name.rpartition(":")[2][0] for name in names}

    def _probe(self, server):
        if server == self.down:
            raise ConnectionError("the server is gone")

    def _read(self, names):
        self._fail(names)
        return super()._read(names)

    def _remove(self, names):
        self._fail(names)
        return super()._remove(names)

    def _clear(self, prefix):
        if self.down:
            raise ConnectionError("a server is gone")
        super()._clear(prefix)

    def _fail(self, names):
        for server in self.servers_of(names):
            self._probe(server)


@pytest.mark.usefixtures("by_hand")
class TestOneServerOfTwo:
    @pytest.fixture
    def cache(self, make):
        cache = make(Nodes)
        cache.set_many({"a1": "a", "a2": "a", "b1": "b", "b2": "b"})
        cache.down = "b"
        for _ in range(3):
            attempt(cache.delete, "b1")
        return cache

    def test_is_left_alone_by_itself(self, cache, on_fault):
        assert list(cache.health.openings()) == ["b"]
        assert cache.get("a1") == "a"
        assert attempt(cache.get_many, ["a1", "b1"]) == (None if on_fault == "raise" else {})

    def test_keeps_only_its_own_removals_waiting(self, cache):
        cache.health.owe(cache, [cache.make_key("a1")])
        with pytest.raises(ConnectionError):
            cache.heal()
        assert list(cache.health.owed.pending()) == [cache.make_key("b1")]
        cache.down = ""
        cache.heal()
        assert not cache.health.is_ailing
        assert cache.get_many(["a1", "a2", "b1", "b2"]) == {"a2": "a", "b2": "b"}

    def test_keeps_a_clear_waiting(self, cache, monkeypatch):
        attempt(cache.clear)
        assert attempt(cache.get, "a1") is None
        cleared = []
        monkeypatch.setattr(Nodes, "_clear", lambda _, prefix: cleared.append(prefix))
        with pytest.raises(ConnectionError):
            cache.heal()
        assert cleared == []
        cache.down = ""
        cache.heal()
        assert len(cleared) == 1


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("broken", [("read",), ("swap",), ("swap", "write", "remove"), ("remove",), PRIMITIVES])
@pytest.mark.parametrize("kind", [Shared, Remote, Files])
class TestAnExpiryThatFailed:
    def test_holds_here_at_once_and_elsewhere_once_it_is_delivered(self, make, kind, broken):
        cache = make(kind)
        cache.set("key", "old", tags=["tag"])
        cache.get_or_set("fence", 1)
        beginning = run(cache.tags.begin(Direct(cache), ["tag", "late"]))
        cache.broken = broken
        attempt(cache.expire_tags, "tag", "late")
        cache.broken = ()
        assert cache.get("key") is None
        cache.heal()
        assert elsewhere(cache).get("key") is None
        assert cache.pending_removals == 0
        # A computation that began before it is not stored.
        assert run(cache.tags.settle(Direct(cache), beginning, 60, ["late"])) is None


@pytest.mark.usefixtures("by_hand")
def test_a_fence_is_deleted_before_the_stamps(make):
    cache = make(Remote)
    cache.expire_tags("tag")
    cache.broken = ("remove",)
    attempt(cache.expire_tags, "tag")
    cache.broken = PRIMITIVES
    attempt(cache.expire_tags, "tag")
    assert list(cache.health.owed.pending()) == [cache.tags.fence_name, cache.tags.name("tag")]


def test_a_store_of_this_process_alone_has_no_health_to_look_at(make):
    assert make(LocMemCache).health is None
    assert make(LocMemCache).pending_removals == 0


@pytest.mark.usefixtures("by_hand")
def test_every_fault_is_counted_by_alias_operation_and_kind(make):
    cache = make(Remote)
    cache.broken = ("read",)
    of = lambda kind: faults.counts().get((cache.alias, "read", kind), 0)  # noqa: E731
    before = of("ConnectionError"), of("CacheUnavailable")
    for _ in range(10):
        attempt(cache.get, "key")
    assert (of("ConnectionError") - before[0], of("CacheUnavailable") - before[1]) == (3, 7)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_locks_that_were_held_at_a_fork_are_free_in_the_child(make):
    cache = make(Remote)
    cache.get("key")

    def child():
        cache.broken = PRIMITIVES
        for _ in range(4):
            attempt(cache.delete, "key")
        assert cache.pending_removals == 1

    with cache.health._lock, faults._lock:
        in_child(child)


class TestAValueThatIsTooLarge:
    @pytest.fixture
    def cache(self, make):
        cache = make(FileBasedCache, MAX_BYTES_DECODED=1000)
        cache.set_many({"key": "old", "other": "old"})
        return cache

    @pytest.fixture
    def counted(self, cache):
        of = lambda operation: faults.counts().get((cache.alias, operation, "too-large"), 0)  # noqa: E731
        before = {operation: of(operation) for operation in ("write", "add")}
        return lambda operation: of(operation) - before[operation]

    @pytest.mark.parametrize("value", ["x" * 2000, b"x" * 2000, ["x"] * 2000], ids=["text", "bytes", "list"])
    def test_is_not_stored_and_what_was_there_is_gone(self, cache, counted, value):
        cache.set("key", value)
        assert cache.get("key") is None
        assert counted("write") == 1
        assert cache.set_many({"key": value, "other": "new"}) == ["key"]
        assert cache.get_many(["key", "other"]) == {"other": "new"}
        assert cache.set_many({"other": value}) == ["other"]
        assert cache.get("other") is None
        assert cache.pending_removals == 0

    def test_is_not_added(self, cache, counted):
        assert cache.add("free", "x" * 2000) is False
        assert counted("add") == 1
        assert cache.get("free") is None
        assert cache.get_or_set("free", lambda: "x" * 2000) == "x" * 2000
        assert cache.get("free") is None

    async def test_is_no_more_with_the_twins(self, cache, counted):
        await cache.aset("key", "x" * 2000)
        assert await cache.aget("key") is None
        assert await cache.aadd("free", "x" * 2000) is False
        assert (counted("write"), counted("add")) == (1, 1)
