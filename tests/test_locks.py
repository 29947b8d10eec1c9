import asyncio
import secrets
import threading
import time

import pytest

from cacheplus.backends.locmem import LocMemCache
from cacheplus.exceptions import CacheplusError, LockNotAcquired
from cacheplus.locks import AsyncLock, Lock


class Held:
    """A lock of somebody else, free after so many looks."""

    def __init__(self, looks):
        self.looks = looks
        self.times = []
        self.released = []

    def acquire(self, token):
        self.times.append(time.monotonic())
        return len(self.times) > self.looks

    def release(self, token):
        self.released.append(token)
        return True

    async def aacquire(self, token):
        return self.acquire(token)

    async def arelease(self, token):
        return self.release(token)


@pytest.fixture
def cache():
    return LocMemCache(secrets.token_hex(8), {})


def test_a_free_lock_is_taken_at_the_first_look():
    held = Held(0)
    with Lock("key", 0, held.acquire, held.release) as token:
        assert len(held.times) == 1
        assert held.released == []
    assert held.released == [token]


def test_pauses_between_looks_grow_up_to_a_limit():
    held = Held(8)
    with Lock("key", 5, held.acquire, held.release):
        pauses = [after - before for before, after in zip(held.times, held.times[1:], strict=False)]
    assert pauses[0] < pauses[4]
    assert max(pauses) < 0.5


def test_who_does_not_get_it_releases_nothing_and_is_told_which_one():
    held = Held(1000)
    with pytest.raises(LockNotAcquired, match=r"'key'.*0.05 seconds"), Lock("key", 0.05, held.acquire, held.release):
        pass
    assert held.released == []
    assert len(held.times) > 1
    assert issubclass(LockNotAcquired, CacheplusError)


def test_without_a_wait_there_is_one_look():
    held = Held(1000)
    with pytest.raises(LockNotAcquired), Lock("key", 0, held.acquire, held.release):
        pass
    assert len(held.times) == 1


def test_one_lock_object_can_be_used_again(cache):
    lock = cache.lock("key", wait=0)
    for _ in range(2):
        with lock, pytest.raises(LockNotAcquired), cache.lock("key", wait=0):
            pass


def test_it_is_not_reentrant(cache):
    lock = cache.lock("key", wait=0)
    with lock, pytest.raises(LockNotAcquired), lock:
        pass


def test_a_lock_is_held_for_its_owner_alone(cache):
    stranger = cache.lock("key")
    with cache.lock("key", wait=0):
        stranger.__exit__(None, None, None)
        with pytest.raises(LockNotAcquired), cache.lock("key", wait=0):
            pass


def test_a_lock_without_end_is_held_until_it_is_released(cache):
    with cache.lock("key", timeout=None, wait=0):
        assert cache._ttl(cache._lock_name("key")) is None
    assert cache._ttl(cache._lock_name("key")) == 0


def test_a_waiting_thread_gets_it_on_release(cache):
    taken = threading.Event()

    def wait():
        with cache.lock("key", wait=5):
            taken.set()

    with cache.lock("key", wait=0):
        thread = threading.Thread(target=wait)
        thread.start()
        assert not taken.wait(0.05)
    assert taken.wait(5)
    thread.join()


async def test_a_waiting_task_leaves_the_loop_to_others():
    held, turns = Held(5), []

    async def other():
        while len(held.times) <= 5:
            turns.append(1)
            await asyncio.sleep(0.001)

    task = asyncio.create_task(other())
    async with AsyncLock("key", 5, held.aacquire, held.arelease) as token:
        assert len(turns) > 5
    await task
    assert held.released == [token]


async def test_a_waiting_task_gives_up_in_time(cache):
    async with cache.alock("key", wait=0):
        with pytest.raises(LockNotAcquired, match="'key'"):
            async with cache.alock("key", wait=0.02):
                pass
    async with cache.alock("key", wait=0):
        pass


async def test_tasks_and_threads_keep_one_another_out(cache):
    with cache.lock("key", wait=0), pytest.raises(LockNotAcquired):
        async with cache.alock("key", wait=0):
            pass
    async with cache.alock("key", wait=0):
        with pytest.raises(LockNotAcquired), cache.lock("key", wait=0):
            pass
