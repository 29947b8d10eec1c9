"""Locks: one holder at a time, for a limited time, released only by its owner."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cacheplus.backends.base import BaseCache
from cacheplus.exceptions import LockNotAcquired
from cacheplus.testing.contract.harness import THREADS, Harness


class LockContract(Harness):
    """`lock` and `alock`."""

    def test_one_holder_at_a_time(self, calls: Any) -> None:
        with calls.lock("key", wait=0):
            with pytest.raises(LockNotAcquired, match="'key'"), calls.lock("key", wait=0):
                pass
            with calls.lock("other", wait=0):
                pass
        with calls.lock("key", wait=0):
            pass

    def test_it_is_free_again_after_an_error(self, calls: Any) -> None:
        with pytest.raises(KeyError), calls.lock("key", wait=0):
            raise KeyError
        with calls.lock("key", wait=0):
            pass

    def test_every_owner_has_a_token_of_its_own(self, calls: Any) -> None:
        tokens = []
        for _ in range(3):
            with calls.lock("key", wait=0) as token:
                tokens.append(token)
        assert len(set(tokens)) == 3

    def test_it_ends_with_its_timeout_and_a_late_release_leaves_the_next_owner_alone(self, calls: Any) -> None:
        late = calls.lock("key", timeout=self.smallest_ttl, wait=0)
        late.__enter__()
        self.outlive(calls, self.smallest_ttl)
        with calls.lock("key", wait=0):
            late.__exit__(None, None, None)
            with pytest.raises(LockNotAcquired), calls.lock("key", wait=0):
                pass

    def test_a_waiter_takes_it_when_it_is_free(self, calls: Any) -> None:
        with calls.lock("key", timeout=self.smallest_ttl, wait=0):
            since = time.monotonic()
            with calls.lock("key", wait=self.smallest_ttl + self.overtime + 5):
                assert time.monotonic() - since < self.smallest_ttl + self.overtime

    def test_a_waiter_gives_up_in_time(self, calls: Any) -> None:
        with calls.lock("key", wait=0):
            since = time.monotonic()
            with pytest.raises(LockNotAcquired, match=r"0\.2 seconds"), calls.lock("key", wait=0.2):
                pass
            assert 0.2 <= time.monotonic() - since < 2

    def test_it_is_no_value(self, calls: Any) -> None:
        calls.set("key", "value", 60)
        with calls.lock("key", wait=0):
            assert calls.get("key") == "value"
            assert calls.delete("key") is True
            with pytest.raises(LockNotAcquired), calls.lock("key", wait=0):
                pass

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_a_lock_that_would_never_be_held_is_refused(self, calls: Any, timeout: float) -> None:
        with pytest.raises(ValueError, match="timeout"), calls.lock("key", timeout=timeout):
            pass

    def test_threads_take_turns(self, calls: Any, cache: BaseCache) -> None:
        inside: list[int] = []

        def work(own: Any) -> None:
            for _ in range(3):
                with own.lock("turn", timeout=30, wait=60):
                    inside.append(1)
                    assert len(inside) == 1
                    time.sleep(0.001)
                    inside.pop()

        assert self.crowd(calls, cache, work) == [None] * THREADS
