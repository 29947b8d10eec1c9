"""A behaviour under faults: a function that measures figures, and how large each may be."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

logger = logging.getLogger("tests.faults")

# A busy machine may take so many times longer.
ROOM = 3

Measured = Mapping[str, float]


def unexpected(error: BaseException) -> int:
    """One more of what nobody should have seen, with its traceback for whoever has to mend it."""
    logger.error("%s", type(error).__name__, exc_info=error)
    return 1


class Verdict(NamedTuple):
    """One figure of one store: `bar` is None where it is only told."""

    figure: str
    reached: float
    bar: float | None

    @property
    def is_kept(self) -> bool:
        return self.bar is None or self.reached <= self.bar

    def __str__(self) -> str:
        told = f"{self.figure} {self.reached:.4g}"
        return told if self.bar is None else f"{told} (at most {self.bar:.4g})"


@dataclass(frozen=True)
class Behaviour:
    """`measure(store, **size)` gives figures; those that `bars` names may be at most so large.

    Figures whose name ends in " s" are times. `small` is the size of a test, `large` that of a soak.
    """

    sentence: str
    measure: Callable[..., Measured]
    stores: tuple[str, ...]
    bars: Mapping[str, float]
    small: Mapping[str, Any]
    large: Mapping[str, Any]

    def soak(self, store: str) -> list[Verdict]:
        """The figures at full size, against the bars themselves."""
        return self._judged(self.measure(store, **self.large), 1)

    def hold(self, store: str) -> None:
        """Assert, at the size of a test, that every bar is kept; times have room."""
        verdicts = self._judged(self.measure(store, **self.small), ROOM)
        missed = [str(verdict) for verdict in verdicts if not verdict.is_kept]
        assert not missed, f"{self.sentence}, {store}: {'; '.join(missed)}"

    def _judged(self, measured: Measured, room: float) -> list[Verdict]:
        unmeasured = self.bars.keys() - measured.keys()
        assert not unmeasured, f"{self.sentence}: nothing measured for {sorted(unmeasured)}"
        return [
            Verdict(figure, reached, self._bar(figure, room if figure.endswith(" s") else 1))
            for figure, reached in measured.items()
        ]

    def _bar(self, figure: str, room: float) -> float | None:
        bar = self.bars.get(figure)
        return None if bar is None else bar * room


# All of them, in the order of the table.
behaviours: list[Behaviour] = []


def behaviour(
    sentence: str,
    *stores: str,
    bars: Mapping[str, float],
    small: Mapping[str, Any] | None = None,
    large: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., Measured]], Behaviour]:
    """Make a measuring function a behaviour of these stores."""

    def make(measure: Callable[..., Measured]) -> Behaviour:
        made = Behaviour(sentence, measure, stores, bars, small or {}, large or {})
        behaviours.append(made)
        return made

    return make
