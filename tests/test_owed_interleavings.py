"""One computation, and one expiry that fails and is delivered later, in every order in which their calls can arrive.

As for an expiry that succeeds, nobody may be left with what was computed from the old data once it is delivered. The
computation runs in another process, or in the one whose expiry failed.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from time import monotonic
from typing import Any

import pytest

from cacheplus import boundary
from cacheplus.backends.locmem import LocMemCache
from cacheplus.health import Health
from cacheplus.owed import Owed
from cacheplus.store import Direct
from cacheplus.tags import Tags
from tests.stores import Actor, interleavings, stop
from tests.test_interleavings import CASES, NEW, OLD, Case, World

# Of the cases, those whose orders are some thousands.
QUICK = ("early tag present", "early tag missing", "late tag present", "late tag missing, no fence")
EVERYTHING = ("read", "write", "add", "add_many", "swap", "remove")


class Failing(LocMemCache):
    """A store whose primitives fail while they are in `broken`, as another process sees it."""

    is_shared = True
    broken: tuple[str, ...] = ()

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") and name[1:] in super().__getattribute__("broken"):
            raise ConnectionError("the server is gone")
        return super().__getattribute__(name)


class SteppedDirect(Direct):
    """Stops before whatever the boundary asks of the store."""

    async def _ask(self, primitive: str, *args: Any) -> Any:
        await stop()
        return await super()._ask(primitive, *args)

    async def _call(self, primitive: str, *args: Any) -> Any:
        health = self.leaf.health
        if health is not None and health.is_ailing:
            return await self._call_with_care(health, primitive, args)
        try:
            return await self._ask(primitive, *args)
        except self.leaf.faults as error:
            return await self._met(primitive, args, error, monotonic())


class Outage(World):
    """The expiry meets a store of which some primitives fail, and is delivered when they work again."""

    def __init__(self, case: Case, broken: tuple[str, ...], *, is_one_process: bool) -> None:
        super().__init__(case, Tags)
        self.failing = Failing(self.cache._location, {})
        self.broken = broken
        self.expirer = SteppedDirect(self.failing, is_strict=True)
        if is_one_process:
            self.cache = Failing(self.cache._location, {})
            self.store = SteppedDirect(self.cache)

    async def expiry(self) -> None:
        await stop()
        self.data = NEW
        await stop()
        self.failing.broken = self.broken
        with suppress(ConnectionError):
            await self.failing.operations.expire_tags(self.expirer, *self.case.expires)
        self.failing.broken = ()
        await stop()
        await self.expirer.heal()


def outcomes(case: Case, broken: tuple[str, ...], *, is_one_process: bool) -> Counter[str]:
    def start():
        world = Outage(case, broken, is_one_process=is_one_process)
        return [Actor(world.computation()), Actor(world.expiry())], world.outcome

    return Counter(outcome for _, outcome in interleavings(start))


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch):
    monkeypatch.setattr(Health, "_ensure_healer", lambda *_: True)
    # One removal after the other, so that each order of them can be seen.
    monkeypatch.setattr(boundary, "_BATCH", 1)


@pytest.mark.parametrize("is_one_process", [True, False], ids=["the same process", "another process"])
@pytest.mark.parametrize(
    ("name", "broken"), [*((name, EVERYTHING) for name in QUICK), (QUICK[0], ("remove",)), (QUICK[2], ("remove",))]
)
def test_no_order_leaves_stale_data_once_it_is_delivered(name, broken, is_one_process):
    found = outcomes(CASES[name], broken, is_one_process=is_one_process)
    assert found[OLD] == 0
    assert found[NEW] > 0
    assert found.total() > 20


@pytest.mark.parametrize("name", ["late tag present"])
def test_the_enumeration_finds_what_stamps_before_the_fence_leave_stale(name, monkeypatch):
    pending = Owed.pending
    monkeypatch.setattr(Owed, "pending", lambda owed: dict(reversed(pending(owed).items())))
    assert outcomes(CASES[name], EVERYTHING, is_one_process=False)[OLD] > 0
