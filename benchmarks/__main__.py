"""`python -m benchmarks`: the same work on Django's caches, on their rivals' and on ours, interleaved."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from django.core.cache import caches

from benchmarks import report
from benchmarks.contenders import GROUPS, contenders
from benchmarks.pages import fragment_hits, page_hits
from benchmarks.rounds import Batch, interleave
from benchmarks.workloads import WORKLOADS

_PAGES = {"page, a hit": page_hits, "{% cache %}, a hit": fragment_hits}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--only", metavar="TEXT", default="", help="workloads whose name has this in it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each contender in each round")
    arguments = parser.parse_args()
    unknown = set(arguments.groups) - set(GROUPS)
    if unknown:
        parser.error(f"unknown group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    return arguments


def _batches(aliases: list[str], only: str) -> Iterator[tuple[str, Mapping[str, Batch]]]:
    """(workload, the batch of each alias), one workload after the other."""
    for name, prepare in WORKLOADS.items():
        if only in name:
            yield name, {alias: prepare(caches[alias]) for alias in aliases}
    for name, make in _PAGES.items():
        if only in name:
            yield name, dict(make([alias for alias in aliases if alias.startswith(("django ", "cacheplus "))]))


def main() -> None:
    arguments = _arguments()
    with contenders(arguments.groups or list(GROUPS)) as groups:
        for group, aliases in groups.items():
            print(report.heading(group))
            for workload, batches in _batches(aliases, arguments.only):
                results = interleave(batches, arguments.rounds, arguments.seconds)
                print("\n".join(report.lines(workload, results)), flush=True)


if __name__ == "__main__":
    main()
