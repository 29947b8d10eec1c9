"""One computation and one expiry, in every order in which their calls can reach the store.

The data changes before the expiry begins, as a commit comes before its signal. Whatever the order, nobody may be left
with what was computed from the old data.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pytest

from cacheplus.backends.landing import Landing
from cacheplus.backends.locmem import LocMemCache
from cacheplus.backends.ways import Blocking
from cacheplus.recorder import meet_tags
from cacheplus.tags import Tags
from tests.stores import Actor, SteppedStore, interleavings, stop

OLD, NEW = "old", "new"


class SteppedWay(Blocking):
    """Stops before each call of the store, and nowhere waits for another."""

    def __init__(self, store: SteppedStore) -> None:
        super().__init__(store.leaf)
        self.store = store

    async def operate(self, make):
        return await make(self.store)

    attempt = operate

    async def compute(self, default):
        return await default()

    def may_wait(self, flight):
        return False


@dataclass(frozen=True)
class Case:
    """What the computation knows before it starts (`early`), meets (`late`) or takes from an inner value."""

    early: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    has_fence: bool = True
    expires: tuple[str, ...] = ("tag",)
    timeout: float | None = 60


CASES = {
    "early tag present": Case(early=("tag",), used=("tag",)),
    "early tag missing": Case(early=("tag",)),
    "early tag missing, no fence": Case(early=("tag",), has_fence=False),
    "late tag present": Case(late=("tag",), used=("tag",)),
    "late tag missing": Case(late=("tag",)),
    "late tag missing, no fence": Case(late=("tag",), has_fence=False),
    "early and late": Case(early=("early",), late=("tag",), used=("early",)),
    "one of two early tags missing": Case(early=("tag", "other"), used=("other",)),
    "early tag that has to live longer": Case(early=("tag",), used=("tag",), timeout=None),
    "tag of an inner value": Case(inner=("tag",), used=("tag",)),
    "tag of an inner value, never used": Case(inner=("tag",)),
    "several expired at once": Case(early=("tag",), late=("other",), used=("tag", "other"), expires=("other", "tag")),
}


class World:
    """A cache, the data that its values are made of, and what the two actors do."""

    def __init__(self, case: Case, tags: type[Tags]) -> None:
        class Cache(LocMemCache):
            @cached_property
            def tags(self) -> Tags:
                return tags(self._service_name)

        self.case = case
        self.cache = Cache(secrets.token_hex(8), {})
        self.store = SteppedStore(self.cache)
        self.data = OLD
        if case.has_fence:
            self.cache.set("unrelated", 1, tags=("unrelated to all",))
        if case.used:
            self.cache.set("earlier", 1, tags=case.used)

    async def compute(self, key: str, early: tuple[str, ...], work: Callable[[], object]) -> object:
        """`get_or_set`, with a computation that can be stopped."""
        wanted = self.cache.computing.wanted(key, work, self.case.timeout, None, early)
        return await self.cache.computing.value(SteppedWay(self.store), wanted)

    async def read_data(self) -> str:
        await stop()
        data = self.data
        meet_tags(self.case.late)
        return data

    async def read_inner(self) -> object:
        return await self.compute("inner", self.case.inner, self.read_data)

    async def computation(self) -> None:
        await self.compute("key", self.case.early, self.read_inner if self.case.inner else self.read_data)

    async def expiry(self) -> None:
        await stop()
        self.data = NEW
        await stop()
        await self.cache.operations.expire_tags(self.store, *self.case.expires)

    def outcome(self) -> str:
        """What a reader finds who comes after both; an outer and an inner value count alike."""
        found = set(self.cache.get_many(["key", "inner"]).values())
        return OLD if OLD in found else NEW if NEW in found else "nothing"


def outcomes(case: Case, tags: type[Tags] = Tags) -> Counter[str]:
    """How often each outcome is found over all orders."""

    def start():
        world = World(case, tags)
        return [Actor(world.computation()), Actor(world.expiry())], world.outcome

    return Counter(outcome for _, outcome in interleavings(start))


class StampsFirst(Tags):
    """Deletes the stamps before it moves the fence."""

    async def expire(self, store, tags):
        removed = await store.remove(list(map(self.name, tags)))
        await self._move_fence(store, tags)
        return removed


class NoFence(Tags):
    """Trusts late stamps without a look at the fence."""

    async def _spared(self, store, beginning, late):
        return True


class FenceReadFirst(Tags):
    """Looks at the fence before it takes the late stamps."""

    async def _stand(self, store, unread, late, ttl):
        self.verdict = await super()._spared(store, self.beginning, late)
        return await super()._stand(store, unread, late, ttl)

    async def settle(self, store, beginning, *args, **kwargs):
        self.beginning = beginning
        return await super().settle(store, beginning, *args, **kwargs)

    async def _spared(self, store, beginning, late):
        return self.verdict


@pytest.mark.parametrize("name", CASES)
def test_no_order_leaves_stale_data(name):
    found = outcomes(CASES[name])
    assert found[OLD] == 0
    assert found.total() > 50
    # Both ends were reached: the value stored from new data, and a value from old data kept out or ended.
    assert found[NEW] > 0
    assert found["nothing"] > 0


@pytest.mark.parametrize("wrong", [StampsFirst, NoFence, FenceReadFirst])
def test_the_enumeration_finds_what_another_design_leaves_stale(wrong):
    names = ("early tag present", "early tag missing", "late tag present")
    present, missing, late = (outcomes(CASES[name], wrong)[OLD] for name in names)
    assert missing > 0
    assert late > 0
    assert present == 0


def test_an_expiry_of_another_tag_keeps_nothing_from_being_stored():
    for name in ("early tag present", "late tag present", "late tag missing"):
        case = CASES[name]
        found = outcomes(Case(case.early, case.late, case.inner, case.used, expires=("unrelated",)))
        # Read before or after the change, it is stored: nobody said that it depends on it.
        assert found["nothing"] == 0
        assert found[NEW] > 0


def test_orders_are_all_played_and_each_once():
    async def work(log, who, stops):
        for _ in range(stops):
            await stop()
            log.append(who)

    def start():
        log = []
        return [Actor(work(log, "a", 2)), Actor(work(log, "b", 2))], lambda: "".join(log)

    played = list(interleavings(start))
    assert len({order for order, _ in played}) == len(played) == 20
    assert {outcome for _, outcome in played} == {"aabb", "abab", "abba", "baab", "baba", "bbaa"}


KEY_CALLS = {
    "delete": lambda cache, store: cache.operations.delete(store, "key", None),
    "delete_many": lambda cache, store: cache.operations.delete_many(store, ["key"], None),
    "set": lambda cache, store: cache.operations.set(store, "key", NEW, 60, None),
    "clear": lambda cache, store: cache.operations.clear(store, everything=False),
}


def outcomes_of_a_key(call: str, computations: int, overdue: float = 30, steal: bool = False) -> Counter[object]:
    """How often each value is found over all orders of some computations and one call about their key."""

    def start():
        world = World(Case(), Tags)
        if steal:
            world.cache.computing.landing = TrustsAnyLease(world.cache.operations)

        async def computation():
            wanted = world.cache.computing.wanted("key", world.read_data, 60, None, ())
            wanted = wanted._replace(times=wanted.times._replace(lease=overdue))
            await world.cache.computing.value(SteppedWay(world.store), wanted)

        async def change():
            await stop()
            world.data = NEW
            await KEY_CALLS[call](world.cache, world.store)

        actors = [Actor(computation()) for _ in range(computations)]
        if computations > 1:
            # Each has to begin before it can be interrupted; this spares nine orders of ten.
            for _ in range(3):
                actors[0].step()
        return [*actors, Actor(change())], lambda: world.cache.get("key", "nothing")

    return Counter(outcome for _, outcome in interleavings(start))


class TrustsAnyLease(Landing):
    """Stores in the place of any lease, whatever happened to the key in between."""

    async def _replace(self, store, place, lease, expected, stored, ttl):
        found = (await store.read([place.name])).get(place.name)
        return found is not None and await store.swap(place.name, found, stored, ttl)


@pytest.mark.parametrize("call", KEY_CALLS)
def test_no_order_brings_a_plain_key_back(call):
    found = outcomes_of_a_key(call, 1)
    assert found[OLD] == 0
    assert found[NEW] > 0
    assert found.total() > 10


def test_no_order_of_two_computations_brings_a_deleted_key_back():
    """The second takes the lease of the first over, or does not: its time is up at once."""
    found = outcomes_of_a_key("delete", 2, overdue=-1)
    assert found[OLD] == 0
    assert found[NEW] > 0
    assert found.total() > 500


def test_the_enumeration_finds_a_store_that_does_not_look_whose_lease_it_is():
    assert outcomes_of_a_key("delete", 2, steal=True)[OLD] > 0
