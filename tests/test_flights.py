"""Flights beyond one store: who waits for whom, who never does, and what other processes do."""

import asyncio
import secrets
import threading
import time
from functools import partial

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.db import transaction
from django.test import override_settings

from cacheplus.backends.filebased import FileBasedCache
from cacheplus.backends.landing import Unshared
from cacheplus.backends.lmdb import LMDBCache
from cacheplus.backends.locmem import LocMemCache
from cacheplus.backends.memcached import PyMemcacheCache
from cacheplus.backends.redis import RedisCache
from cacheplus.codecs.record import Record
from cacheplus.flights import Lease
from cacheplus.recorder import recording
from cacheplus.testing.calls import at_once
from tests.processes import process, together

# So long that a test which waits for it is killed instead.
FOR_EVER = {"FLIGHT_WAIT": 3600, "FLIGHT_LEASE": 3600}


@pytest.fixture
def cache():
    return LocMemCache(secrets.token_hex(8), {"TIMEOUT": 60})


class Leader:
    """A computation of "key" by another thread, which goes on until it is told to end."""

    def __init__(self, cache, key="key"):
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.answers = []
        self._thread = threading.Thread(target=lambda: self.answers.append(cache.get_or_set(key, self._compute)))

    def _compute(self):
        self.begun.set()
        assert self.may_end.wait(30)
        return "led"

    def __enter__(self):
        self._thread.start()
        assert self.begun.wait(30)
        return self

    def __exit__(self, *_):
        self.may_end.set()
        self._thread.join(30)


class TestNobodyWaits:
    """Where waiting could never end, or would hold up others: one computes."""

    @pytest.fixture(autouse=True)
    def patience(self):
        with override_settings(CACHEPLUS=FOR_EVER):
            yield

    def test_in_the_middle_of_the_same_computation(self, cache):
        assert cache.get_or_set("key", lambda: cache.get_or_set("key", lambda: "inner")) == "inner"

    def test_for_what_a_computation_further_out_computes(self, cache):
        def b():
            return cache.get_or_set("a", lambda: "innermost")

        assert cache.get_or_set("a", lambda: cache.get_or_set("b", b)) == "innermost"

    def test_for_a_flight_that_waits_for_ones_own(self, cache):
        both = threading.Barrier(2)

        def compute(other):
            both.wait(30)
            return cache.get_or_set(other, lambda: "computed")

        asks = [partial(cache.get_or_set, key, partial(compute, other)) for key, other in ("ab", "ba")]
        assert at_once(asks) == ["computed", "computed"]

    def test_in_tasks_that_wait_for_one_another(self, cache):
        async def ask():
            begun = {"a": asyncio.Event(), "b": asyncio.Event()}

            async def compute(key, other):
                begun[key].set()
                await begun[other].wait()
                return await cache.aget_or_set(other, lambda: "computed")

            asks = (cache.aget_or_set(key, partial(compute, key, other)) for key, other in ("ab", "ba"))
            return await asyncio.wait_for(asyncio.gather(*asks), 30)

        assert async_to_sync(ask)() == ["computed", "computed"]

    @pytest.mark.django_db(transaction=True)
    def test_within_a_transaction_which_holds_locks(self, cache):
        with Leader(cache), transaction.atomic():
            assert cache.get_or_set("key", lambda: "computed") == "computed"

    def test_in_plain_code_on_an_event_loop(self, cache):
        async def ask():
            return cache.get_or_set("key", lambda: "computed")

        with Leader(cache):
            assert asyncio.run(ask()) == "computed"

    def test_in_the_one_thread_that_all_sync_to_async_shares(self, cache):
        with Leader(cache):
            assert asyncio.run(sync_to_async(cache.get_or_set)("key", lambda: "computed")) == "computed"

    @pytest.mark.parametrize("has_context", [True, False])
    def test_in_a_thread_that_the_leading_task_needs(self, cache, has_context):
        async def both():
            begun = asyncio.Event()

            async def lead():
                begun.set()
                await asyncio.sleep(0.2)
                return await sync_to_async(lambda: "led")()

            first = asyncio.ensure_future(cache.aget_or_set("key", lead))
            await begun.wait()
            second = await sync_to_async(cache.get_or_set)("key", lambda: "computed")
            return second, await first

        async def within():
            if not has_context:
                return await both()
            async with ThreadSensitiveContext():
                return await both()

        # The task finds what was stored first.
        assert asyncio.run(asyncio.wait_for(within(), 30)) == ("computed", "computed")

    def test_for_what_may_not_be_shared(self, cache):
        runs = []

        def compute():
            runs.append(threading.get_ident())
            barrier.wait(30)
            return Unshared("private")

        def ask():
            return cache.compute(cache.computing.wanted("key", compute, 60, None, ()))

        barrier = threading.Barrier(1)
        ask()
        # All at the same time, which they are not if one waits for another.
        barrier = threading.Barrier(8)
        assert at_once([ask] * 8) == ["private"] * 8
        assert len(runs) == 9
        assert cache.get("key") is None

    def test_for_a_flight_that_ended_without_a_word_because_the_store_failed(self):
        class Forgetful(LocMemCache):
            fails = True

            def _swap(self, *args):
                if self.fails:
                    raise ConnectionError
                return super()._swap(*args)

        Forgetful.faults = (ConnectionError,)
        cache = Forgetful(secrets.token_hex(8), {"OPTIONS": {"ON_FAULT": "miss"}})
        assert cache.get_or_set("key", lambda: "first") == "first"
        cache.fails = False
        assert cache.get("key") is None
        assert cache.get_or_set("key", lambda: "second") == "second"
        assert cache.get("key") == "second"


class TestWaiting:
    def test_ends_when_the_patience_does(self, cache):
        with override_settings(CACHEPLUS={"FLIGHT_WAIT": 0.05}), Leader(cache) as leader:
            assert cache.get_or_set("key", lambda: "computed") == "computed"
        assert leader.answers == ["computed"]

    def test_in_a_request_of_asgi_is_for_threads(self, cache):
        """Each request has a thread of its own, and holds up nobody else."""

        async def ask():
            async with ThreadSensitiveContext():
                return await sync_to_async(cache.get_or_set)("key", lambda: pytest.fail("computed twice"))

        with Leader(cache) as leader:
            threading.Timer(0.2, leader.may_end.set).start()
            assert asyncio.run(ask()) == "led"

    def test_hands_the_tags_of_the_result_to_whatever_encloses_it(self, cache):
        def ask():
            compute = lambda: (time.sleep(0.3), cache.get_or_set("inner", lambda: 1, tags=["inner"]))  # noqa: E731
            with recording() as recorder:
                cache.get_or_set("key", compute, tags=["outer"])
            return set(recorder.split(cache.operations.space)[0])

        assert at_once([ask] * 4) == [{"outer", "inner"}] * 4

    def test_is_not_for_a_flight_from_before_an_expiry(self, cache):
        cache.set("other", 1, tags=["tag"])
        answers = []

        def compute():
            cache.expire_tags("tag")
            later = threading.Thread(
                target=lambda: answers.append(cache.get_or_set("key", lambda: "new", tags=["tag"]))
            )
            later.start()
            time.sleep(0.2)
            threads.append(later)
            return "old"

        threads = []
        assert cache.get_or_set("key", compute, tags=["tag"]) == "old"
        threads[0].join(30)
        assert answers == ["new"]
        assert cache.get("key") == "new"

    def test_for_a_slow_leader_lasts_a_lease_and_its_result_is_kept_all_the_same(self, cache):
        with override_settings(CACHEPLUS={"FLIGHT_LEASE": 0.1}), Leader(cache) as first:
            time.sleep(0.15)
            with Leader(cache) as second:
                first.may_end.set()
                first.__exit__()
                assert cache.get("key") == "led"
        assert (first.answers, second.answers) == (["led"], ["led"])


class TestLease:
    def test_survives_the_store(self):
        lease = Lease.new(30)
        assert Lease.of(lease.record()) == lease

    @pytest.mark.parametrize(
        "record", [Record(b"x" * 16), Record(b"x" * 16, soft=1.0), Record("x" * 16, soft=1.0, expires=0.0), Record(5)]
    )
    def test_is_told_from_values(self, record):
        assert Lease.of(record) is None

    def test_keeps_the_root_of_the_one_it_succeeds(self):
        first = Lease.new(-1)
        second = Lease.new(30, first.root)
        assert (second.root, first.is_over) == (first.root, True)
        assert second.owner != first.owner


SHARED = {
    "filebased": lambda request: FileBasedCache(request.getfixturevalue("tmp_path"), {}),
    "lmdb": lambda request: LMDBCache(str(request.getfixturevalue("tmp_path")), {}),
    "redis": lambda request: RedisCache(request.getfixturevalue("redis_server").url, {}),
    "memcached": lambda request: PyMemcacheCache(request.getfixturevalue("memcached_server").address, {}),
}

ASK = """
import threading
from cacheplus.testing.calls import at_once
runs = []
def compute():
    runs.append(1)
    time.sleep(0.5)
    return ["computed"]
assert at_once([lambda: cache.get_or_set(arguments[0], compute, 60)] * 25) == [["computed"]] * 25
tell(len(runs))
"""

LEAD = """
settings.CACHEPLUS = {"FLIGHT_LEASE": 1}
def compute():
    tell("computing")
    time.sleep(60)
cache.get_or_set(arguments[0], compute, 60)
"""


@pytest.mark.parametrize("store", SHARED)
class TestProcesses:
    @pytest.fixture
    def shared(self, store, request):
        return SHARED[store](request)

    def test_that_ask_at_once_cost_one_computation(self, shared):
        key = secrets.token_hex(8)
        assert sum(together(shared, ASK, [key] * 4)) == 1

    def test_one_that_is_killed_hands_over_within_its_lease(self, shared):
        key = secrets.token_hex(8)
        with process(shared, LEAD, key) as leader:
            leader.go()
            assert leader.heard() == "computing"
        assert shared.get_or_set(key, lambda: "computed", 60) == "computed"
        assert shared.get(key) == "computed"
