"""What is printed: a line for each contender, wins and losses alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks.rounds import Result

_HEADINGS = ("workload", "cache", "µs a call", "µs of CPU", "times faster", "by CPU")
_WIDTHS = (20, 28, 10, 10, 13, 8)


def heading(title: str) -> str:
    """The lines above a group."""
    return f"\n{title}\n{_line(_HEADINGS)}\n{_line('-' * width for width in _WIDTHS)}"


def lines(workload: str, results: Iterable[tuple[str, Result]]) -> Iterator[str]:
    """A line for each contender; the first is the measure of the others."""
    for position, (name, result) in enumerate(results):
        ratio = ("1", "1") if position == 0 else (_times(result.ratio), _times(result.cpu_ratio))
        yield _line((workload if position == 0 else "", name, f"{result.wall:.1f}", f"{result.cpu:.1f}", *ratio))


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" + (" slower" if ratio < 1 else "")


def _line(cells: Iterable[str]) -> str:
    """Words to the left, numbers to the right."""
    padded = (
        cell.ljust(width) if position < 2 else cell.rjust(width)  # noqa: PLR2004 (the two columns of words)
        for position, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))
    )
    return "  ".join(padded).rstrip()
