"""Faults that change all the time, under load: nothing is raised, nothing is wrong, nothing grows."""

from __future__ import annotations

import gc
import os
import random
import resource
import threading
import time
from pathlib import Path
from typing import Any

from tests.faults.behaviour import Measured, behaviour, unexpected
from tests.faults.proxy import Treatment, delayed, flipped, garbage, halved, passed, reset, swallowed
from tests.faults.stores import SERVERS, Served, build, served

_THREADS = 4
_KEYS = 20

TREATMENTS: tuple[tuple[Treatment, Treatment], ...] = (
    (passed, passed),
    (passed, delayed(0.02)),
    (passed, reset),
    (passed, halved),
    (passed, garbage),
    (swallowed, passed),
    (passed, flipped(0.3, seed=11)),
    (reset, passed),
)


class Worker:
    """Makes calls with values that say which key they belong to."""

    def __init__(self, way: Served, seed: int) -> None:
        self.cache = build(way.behind(ON_FAULT="miss", SOCKET_TIMEOUT=0.1))
        self.calls = self.raised = self.wrong = self.hits = 0
        self._dice = random.Random(seed)

    def run(self, until: threading.Event) -> None:
        while not until.is_set():
            self.calls += 1
            try:
                self._one_call()
            except Exception as error:  # noqa: BLE001 - that is what is counted
                self.raised += unexpected(error)
            time.sleep(0.001)

    def _one_call(self) -> None:
        cache, key = self.cache, f"key{self._dice.randrange(_KEYS)}"
        match self._dice.randrange(8):
            case 0 | 1 | 2:
                self._judge(key, cache.get(key))
            case 3 | 4:
                cache.set(key, _value(key), 60, tags=["tag"] if self._dice.random() < 0.1 else [])
            case 5:
                for each, found in cache.get_many([key, "key0"]).items():
                    self._judge(each, found)
            case 6:
                self._judge(key, cache.get_or_set(key, _value(key), 60))
            case _:
                cache.delete(key) if self._dice.random() < 0.9 else cache.expire_tags("tag")

    def _judge(self, key: str, found: Any) -> None:
        self.hits += found is not None
        self.wrong += found is not None and found != _value(key)


def _value(key: str) -> str:
    return f"value of {key}, " * 20


@behaviour(
    "faults that change all the time, under load",
    *SERVERS,
    bars={"raised": 0, "wrong values": 0, "grown MB": 5, "descriptors more": 0, "hits back after s": 2.0},
    small={"seconds": 2.5, "warm": 0.5},
    large={"seconds": 20.0, "warm": 2.0},
)
def changing_faults(store: str, *, seconds: float, warm: float) -> Measured:
    dice = random.Random(store)
    before = _descriptors()
    with served(store) as way:
        workers = [Worker(way, seed) for seed in range(_THREADS)]
        over = threading.Event()
        threads = [threading.Thread(target=worker.run, args=(over,)) for worker in workers]
        for thread in threads:
            thread.start()
        try:
            _change(way, dice, warm)
            held = _memory()
            _change(way, dice, seconds)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        grown = (_memory() - held) / 2**20
        back = _back(workers[0].cache)
    # The cache may keep one connection for each thread, and one for whoever looked after the store.
    more = max(0, _descriptors() - before - _THREADS - 1)
    return {
        "calls": sum(worker.calls for worker in workers),
        "hits": sum(worker.hits for worker in workers),
        "raised": sum(worker.raised for worker in workers),
        "wrong values": sum(worker.wrong for worker in workers),
        "grown MB": max(0.0, grown),
        "descriptors more": more,
        "hits back after s": back,
    }


def _change(way: Served, dice: random.Random, seconds: float) -> None:
    """Now this fault, now that, and every other time none."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        requests, replies = dice.choice(TREATMENTS)
        way.proxy.fault(requests=requests, replies=replies)
        time.sleep(dice.uniform(0.05, 0.4))
        way.proxy.heal()
        time.sleep(dice.uniform(0.05, 1.5))


def _memory() -> int:
    """What this process holds now, in bytes."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _back(cache: Any) -> float:
    since = time.monotonic()
    while time.monotonic() - since < 10:
        cache.set("key0", _value("key0"), 60)
        if cache.get("key0") == _value("key0"):
            return time.monotonic() - since
        time.sleep(0.02)
    return float("inf")


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a listing of paths would open more of them
