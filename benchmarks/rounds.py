"""Rounds: every contender does a batch of the same calls, in turn, again and again; what counts is the median."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import NamedTuple

Batch = Callable[[int], None]
"""Does the work so many times."""

_TRIAL = 0.01
_MOST_CALLS = 200_000


class Sample(NamedTuple):
    """Microseconds for each call: by the clock, and of this process's CPU."""

    wall: float
    cpu: float


class Result(NamedTuple):
    """The medians of one contender, and how many times faster than the first contender it is, round by round."""

    wall: float
    cpu: float
    ratio: float
    cpu_ratio: float


def take(batch: Batch, calls: int) -> Sample:
    """Time one batch; the collector waits until it is over."""
    gc.collect()
    gc.disable()
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        batch(calls)
        return Sample(
            (time.perf_counter() - wall) / calls * 1e6,
            (time.process_time() - cpu) / calls * 1e6,
        )
    finally:
        gc.enable()


def calls_for(batch: Batch, seconds: float) -> int:
    """How many calls take about so many seconds."""
    calls = 1
    while calls < _MOST_CALLS:
        start = time.perf_counter()
        batch(calls)
        spent = time.perf_counter() - start
        if spent >= _TRIAL:
            return max(1, min(_MOST_CALLS, int(calls * seconds / spent)))
        calls *= 4
    return _MOST_CALLS


def interleave(batches: Mapping[str, Batch], rounds: int, seconds: float) -> Iterator[tuple[str, Result]]:
    """Run `rounds` rounds of about `seconds` for each contender; yield (name, result). The first is the measure."""
    calls = {name: calls_for(batch, seconds) for name, batch in batches.items()}
    samples: dict[str, list[Sample]] = {name: [] for name in batches}
    for _ in range(rounds):
        for name, batch in batches.items():
            samples[name].append(take(batch, calls[name]))
    measure = next(iter(samples.values()))
    for name, taken in samples.items():
        pairs = list(zip(measure, taken, strict=True))
        yield (
            name,
            Result(
                median(sample.wall for sample in taken),
                median(sample.cpu for sample in taken),
                median(first.wall / this.wall for first, this in pairs),
                median(first.cpu / max(this.cpu, 1e-3) for first, this in pairs),
            ),
        )
