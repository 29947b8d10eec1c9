"""What every part of the contract stands on."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async

from cacheplus.backends.base import BaseCache
from cacheplus.testing.calls import Twins, at_once

THREADS = 8
WAYS = {"sync": lambda cache: cache, "async": Twins}


class Harness:
    """Fixtures and helpers; a subclass defines the fixture `cache` and corrects what does not fit its store."""

    smallest_ttl: ClassVar[float] = 0.1
    """The shortest timeout that the store keeps to, in seconds."""
    overtime: ClassVar[float] = 1.0
    """How many seconds longer than asked a value may live."""
    refuses_odd_keys: ClassVar[bool] = False
    """Whether names with spaces, control characters or more than 250 bytes raise `InvalidCacheKey`."""
    knows_ttl_of_counters: ClassVar[bool] = True
    """Whether `ttl` is exact for plain ints too."""

    @pytest.fixture
    def cache(self) -> BaseCache:
        """The backend under test: one that holds nothing, or that has a KEY_PREFIX of its own."""
        raise NotImplementedError(f"Define the fixture 'cache' in {type(self).__name__}.")

    @pytest.fixture(params=list(WAYS))
    def calls(self, request: pytest.FixtureRequest, cache: BaseCache) -> Any:
        """The backend, called plainly and then through its a-twins."""
        return WAYS[request.param](cache)

    def alike(self, cache: BaseCache, **params: Any) -> BaseCache:
        """Another backend over the same store, with other parameters; OPTIONS are added to those it has.

        Override it where the constructor takes something else than (location, params).
        """
        options = {**cache._params.get("OPTIONS", {}), **params.pop("OPTIONS", {})}
        return type(cache)(cache._location, {**cache._params, **params, "OPTIONS": options})

    def way_of(self, calls: Any, cache: BaseCache) -> Any:
        """`cache`, called in the same way as `calls`."""
        return Twins(cache) if isinstance(calls, Twins) else cache

    def computation(self, calls: Any, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work` as a default of `get_or_set`: awaited where the twins are called, since it may call the cache."""
        return sync_to_async(work) if isinstance(calls, Twins) else work

    def crowd(self, calls: Any, cache: BaseCache, job: Callable[[Any], Any]) -> list[Any]:
        """The results of `job(backend)` in several threads at once, each with a backend of its own, as in Django."""
        each = [self.way_of(calls, self.alike(cache)) for _ in range(THREADS)]
        return at_once([partial(job, own) for own in each])

    def outlive(self, calls: Any, ttl: float) -> None:
        """Wait until whatever was stored before with this `ttl` has expired.

        It watches a key of its own, stored last: looking at a key may be what removes it.
        """
        calls.set("watch", "ticks", ttl)
        deadline = time.monotonic() + ttl + self.overtime
        while calls.get("watch") is not None:
            assert time.monotonic() < deadline, (
                f"a value with a timeout of {ttl} s lives longer than {self.overtime} s more"
            )
            time.sleep(min(0.02, ttl / 5))
