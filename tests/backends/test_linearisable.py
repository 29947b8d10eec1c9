"""F26: what threads see of local memory at the same time is what they would see one after another, in some order."""

import os
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter_ns
from typing import NamedTuple

import pytest

from cacheplus.backends.locmem import LocMemCache

THREADS, CALLS_EACH = 4, 8
HISTORIES = int(os.environ.get("CACHEPLUS_HISTORIES", "300"))
KEY, ABSENT = "key", "absent"


def incr(cache):
    try:
        return cache.incr(KEY)
    except ValueError:
        return ABSENT


# Of each call: how it is made, and (its answer, what is stored after it) where `held` was stored before.
CALLS = {
    "get": (lambda cache, _: cache.get(KEY, ABSENT), lambda held, _: (held, held)),
    "set": (lambda cache, new: cache.set(KEY, new), lambda _, new: (None, new)),
    "add": (lambda cache, new: cache.add(KEY, new), lambda held, new: (True, new) if held == ABSENT else (False, held)),
    "delete": (lambda cache, _: cache.delete(KEY), lambda held, _: (held != ABSENT, ABSENT)),
    "incr": (lambda cache, _: incr(cache), lambda held, _: (held, held) if held == ABSENT else (held + 1, held + 1)),
    "touch": (lambda cache, _: cache.touch(KEY), lambda held, _: (held != ABSENT, held)),
}


class Event(NamedTuple):
    """A call with its argument, what it answered, and between which moments it happened."""

    call: str
    argument: int
    answer: object
    began: int
    ended: int


def perform(cache, seed, barrier):
    """What one thread did."""
    chosen, events = random.Random(seed), []
    barrier.wait()
    for _ in range(CALLS_EACH):
        call, argument = chosen.choice([*CALLS]), chosen.randrange(1000)
        began = perf_counter_ns()
        answer = CALLS[call][0](cache, argument)
        events.append(Event(call, argument, answer, began, perf_counter_ns()))
    return events


def is_linearisable(threads):
    """Whether the calls of all threads can be put into one order that explains every answer.

    A call that ended before another began stays before it.
    """
    todo, seen = [((0,) * len(threads), ABSENT)], set()
    while todo:
        state = places, held = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        following = {number: threads[number][at] for number, at in enumerate(places) if at < len(threads[number])}
        if not following:
            return True
        first_end = min(event.ended for event in following.values())
        for number, event in following.items():
            answer, after = CALLS[event.call][1](held, event.argument)
            if event.began <= first_end and answer == event.answer:
                todo.append((tuple(at + (other == number) for other, at in enumerate(places)), after))
    return False


@contextmanager
def often_interrupted():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def failures(cache, histories):
    """How many of so many histories cannot be explained."""
    barrier = threading.Barrier(THREADS)
    failed = 0
    with often_interrupted(), ThreadPoolExecutor(THREADS) as pool:
        for number in range(histories):
            cache.clear()
            threads = [pool.submit(perform, cache, f"{number} {each}", barrier) for each in range(THREADS)]
            failed += not is_linearisable([thread.result() for thread in threads])
    return failed


def test_every_history_can_be_explained():
    assert failures(LocMemCache("linearisable", {}), HISTORIES) == 0


def test_a_cache_that_looks_before_it_leaps_is_found_out():
    """The test above can fail."""

    class Hasty(LocMemCache):
        def _increment(self, name, delta):
            (value,) = self._read([name]).values() or (None,)
            if type(value) is not int:
                return None
            self._write({name: value + delta}, None)
            return value + delta

    assert failures(Hasty("hasty", {}), 2000)


@pytest.mark.parametrize(
    ("threads", "verdict"),
    [
        ([[Event("set", 1, None, 0, 9)], [Event("get", 0, ABSENT, 1, 2), Event("get", 0, 1, 3, 4)]], True),
        ([[Event("set", 1, None, 0, 9)], [Event("get", 0, 1, 1, 2), Event("get", 0, ABSENT, 3, 4)]], False),
        ([[Event("add", 1, True, 0, 5)], [Event("add", 2, True, 1, 6)]], False),
        ([[Event("set", 1, None, 0, 1)], [Event("get", 0, ABSENT, 2, 3)]], False),
    ],
)
def test_the_judge_is_right(threads, verdict):
    assert is_linearisable(threads) is verdict
