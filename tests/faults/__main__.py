"""`python -m tests.faults`: every behaviour at full size, held to its bars, as one table.

Each one runs in a process of its own, so that none feels the faults of another and a client library that crashes takes
nothing with it. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple

import django
from django.conf import settings
from django.core.management import call_command

from tests.faults.behaviour import Behaviour, Verdict, behaviours
from tests.servers import MissingServer

MODULES = ("outages", "partitions", "changing", "damage", "lowlevel", "limits", "processes", "sessions")
LONGEST = 600
CRASHED = "crashed or took too long"


class Line(NamedTuple):
    """One figure of a behaviour on all of its stores: the largest, and where it was too large."""

    behaviour: str
    stores: str
    figure: str
    reached: float
    bar: float
    missed: str

    def __str__(self) -> str:
        verdict = f"**missed** ({self.missed})" if self.missed else "kept"
        bar, reached = f"{self.bar:.4g}", f"{self.reached:.3g}"
        return f"| {self.behaviour} | {self.stores} | {self.figure} | {bar} | {reached} | {verdict} |"


def main() -> int:
    """The exit status."""
    options = _options()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings")
    if options.one:
        return _measure_here(*options.one)
    _load()
    chosen = [each for each in behaviours if options.only in each.sentence]
    started, lines = time.monotonic(), []
    print("| Under this fault | on | at most | bar | reached | verdict |")
    print("|---|---|---|---|---|---|", flush=True)
    for behaviour in chosen:
        stores = [store for store in behaviour.stores if not options.stores or store in options.stores]
        for line in _lines(behaviour, {store: _measure(behaviour, store) for store in stores}):
            lines.append(line)
            print(line, flush=True)
    missed = sum(bool(line.missed) for line in lines)
    print(f"\n{len(lines)} figures, {missed} missed, in {time.monotonic() - started:.0f} s.")
    return 1 if missed or not lines else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("stores", nargs="*", help="only these stores")
    parser.add_argument("--only", default="", help="only the behaviours whose sentence holds this")
    parser.add_argument("--one", nargs=2, metavar=("SENTENCE", "STORE"), help=argparse.SUPPRESS)
    return parser.parse_args()


def _load() -> None:
    settings.DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    django.setup()
    for module in MODULES:
        import_module(f"tests.faults.{module}")


def _measure_here(sentence: str, store: str) -> int:
    """Print the figures of one behaviour on one store, for the process that started this one."""
    _load()
    logging.getLogger("cacheplus").addHandler(logging.NullHandler())
    call_command("migrate", "sessions", verbosity=0)
    (behaviour,) = (each for each in behaviours if each.sentence == sentence)
    try:
        print(json.dumps(behaviour.soak(store)))
    except MissingServer as missing:
        print(missing, file=sys.stderr)
        return 2
    return 0


def _measure(behaviour: Behaviour, store: str) -> list[Verdict]:
    command = [sys.executable, "-m", "tests.faults", "--one", behaviour.sentence, store]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return [Verdict(CRASHED, 1, 0)]
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return [Verdict(CRASHED, 1, 0)]
    if done.stderr:
        print(done.stderr[-2000:], file=sys.stderr)
    return [Verdict(*each) for each in json.loads(done.stdout.splitlines()[-1])]


def _lines(behaviour: Behaviour, measured: dict[str, list[Verdict]]) -> Iterator[Line]:
    figures = dict.fromkeys(each.figure for verdicts in measured.values() for each in verdicts if each.bar is not None)
    for figure in figures:
        reached = {store: each for store, verdicts in measured.items() for each in verdicts if each.figure == figure}
        missed = ", ".join(f"{store} {each.reached:.3g}" for store, each in reached.items() if not each.is_kept)
        worst = max(reached.values(), key=lambda each: each.reached)
        assert worst.bar is not None
        yield Line(behaviour.sentence, ", ".join(reached), figure, worst.reached, worst.bar, missed)


if __name__ == "__main__":
    sys.exit(main())
