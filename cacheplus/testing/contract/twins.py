"""The a-twins: they await what can be awaited, and honour what a subclass overrode."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections

from cacheplus.backends.base import BaseCache
from cacheplus.testing.contract.harness import Harness

OVERRIDDEN: dict[str, tuple[Any, ...]] = {
    "get": ("key",),
    "set": ("key", "value"),
    "add": ("key", "value"),
    "touch": ("key",),
    "delete": ("key",),
    "get_many": (["key"],),
    "set_many": ({"key": "value"},),
    "delete_many": (["key"],),
    "has_key": ("key",),
    "get_or_set": ("key", "value"),
    "incr": ("key",),
    "decr": ("key",),
    "incr_version": ("key",),
    "decr_version": ("key",),
    "ttl": ("key",),
    "expire_tags": ("tag",),
    "clear": (),
    "close": (),
}


class TwinContract(Harness):
    """What only the asynchronous calls have to show."""

    @pytest.mark.parametrize("call", OVERRIDDEN)
    def test_a_subclass_that_overrides_a_call_is_honoured_by_its_twin(self, cache: BaseCache, call: str) -> None:
        made: list[tuple[Any, ...]] = []

        def override(_self: BaseCache, *args: Any, **_kwargs: Any) -> str:
            made.append(args)
            return "overridden"

        kind = type(cache)
        cache.__class__ = type(kind.__name__, (kind,), {call: override})
        try:
            async_to_sync(getattr(cache, f"a{call}"))(*OVERRIDDEN[call])
        finally:
            cache.__class__ = kind
        assert len(made) == 1
        assert made[0][: len(OVERRIDDEN[call])] == OVERRIDDEN[call]

    def test_a_subclass_with_djangos_signature_of_set_works_through_the_twin(self, cache: BaseCache) -> None:
        kind = type(cache)

        def override(self: BaseCache, key: Any, value: Any, timeout: Any = 60, version: Any = None) -> None:
            kind.set(self, key, f"{value} as overridden", timeout, version)

        cache.__class__ = type(kind.__name__, (kind,), {"set": override})
        try:
            async_to_sync(cache.aset)("key", "value")
            assert cache.get("key") == "value as overridden"
        finally:
            cache.__class__ = kind

    def test_aget_or_set_awaits_a_coroutine_function(self, cache: BaseCache) -> None:
        async def compute() -> str:
            await asyncio.sleep(0)
            return "computed"

        assert async_to_sync(cache.aget_or_set)("key", compute, 60) == "computed"
        assert cache.get("key") == "computed"

    def test_a_computation_that_is_cancelled_stores_nothing(self, cache: BaseCache) -> None:
        async def scenario() -> None:
            started = asyncio.Event()

            async def compute() -> str:
                started.set()
                await asyncio.sleep(60)
                return "computed"

            task = asyncio.ensure_future(cache.aget_or_set("key", compute, 60))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        async_to_sync(scenario)()
        assert cache.get("key") is None

    def test_tasks_of_one_loop_do_not_disturb_one_another(self, cache: BaseCache) -> None:
        async def work(number: int) -> tuple[Any, Any, Any]:
            key = f"key-{number}"
            await cache.aset(key, number, 60, tags=[key])
            found = await cache.aget(key)
            total = await cache.aincr(key, number)
            await cache.aexpire_tags(key)
            return found, total, await cache.aget(key)

        async def scenario() -> list[tuple[Any, Any, Any]]:
            return list(await asyncio.gather(*map(work, range(20))))

        assert async_to_sync(scenario)() == [(number, 2 * number, None) for number in range(20)]

    def test_tags_met_by_one_task_do_not_reach_another(self, cache: BaseCache) -> None:
        async def compute(tag: str) -> str:
            await asyncio.sleep(0.01)
            await cache.aset(f"inner-{tag}", "value", 60, tags=[tag])
            await asyncio.sleep(0.01)
            return tag

        async def scenario() -> None:
            await asyncio.gather(*(cache.aget_or_set(tag, lambda tag=tag: compute(tag), 60) for tag in ("a", "b")))

        async_to_sync(scenario)()
        cache.expire_tags("a")
        assert cache.get_many(["a", "b"]) == {"b": "b"}

    def test_several_loops_use_one_backend(self, cache: BaseCache) -> None:
        for number in range(3):
            asyncio.run(self._set_and_get(cache, number))

    async def _set_and_get(self, cache: BaseCache, number: int) -> None:
        await cache.aset("key", number, 60)
        assert await cache.aget("key") == number
        await cache.aclose()
        # As at the end of a request, in the thread that the calls went to.
        await sync_to_async(connections.close_all, thread_sensitive=True)()
