"""Run the cache tests of the installed Django against cacheplus.

The tests come from Django's source distribution; dotted paths and imports in them are rewritten to ours. Exit status 0
means that every one of them passed, except those of expected.py, which must fail; that nothing was skipped that Django
itself would run; and that every name is ours. `--django` runs Django's own classes instead, to judge the machine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import django
from django.conf import settings

from tests import servers
from tests.django_suite import sdist
from tests.django_suite.areas import AREAS
from tests.django_suite.bench import ROOT, Bench
from tests.django_suite.expected import EXPECTED
from tests.django_suite.names import MODULES, Names
from tests.django_suite.rewrite import rewrite_tree
from tests.django_suite.verdict import Report, Verdict, judge

# The tests sleep more than they work.
PROCESSES = 4
# Of what went wrong, a line each.
LISTED = 50

DATABASES: dict[str, Callable[[], dict[str, Any]]] = {
    "sqlite": lambda: {"ENGINE": "django.db.backends.sqlite3"},
    "postgres": lambda: servers.postgres().dsn,
    "mariadb": lambda: servers.mariadb().dsn,
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.django_suite", description=__doc__)
    parser.add_argument("--areas", nargs="+", choices=AREAS, metavar="AREA", help=f"of: {', '.join(AREAS)}")
    parser.add_argument(
        "--database", choices=DATABASES, default="sqlite", help="if not sqlite, only the areas it concerns"
    )
    parser.add_argument("--django-tests", type=Path, metavar="SDIST", help="a source distribution that is here already")
    parser.add_argument("--django", action="store_true", help="run the tests unchanged, against Django's own classes")
    parser.add_argument("--show", type=int, default=5, metavar="N", help="print the text of N failures (5)")
    return parser.parse_args()


def ours(dotted: str) -> str:
    """Our path for a backend of Django's."""
    module, _, name = dotted.rpartition(".")
    return f"{MODULES[module]}.{name}"


def judge_area(area: str, bench: Bench, upstream: Bench, expected: Mapping[str, str]) -> Verdict:
    """Run `area`; Django's own run then says which tests there are, and which of the skipped ones it skips as well."""
    try:
        report = bench.run(area)
    except RuntimeError as error:
        report = Report([], {area: ("failed", str(error))})
    return judge(report, upstream.run(area, report.skipped), expected)


def run(areas: Sequence[str], database: str, archive: Path, names: Names | None) -> dict[str, Verdict]:
    """The verdict on each area, over Django's own classes where `names` is None."""
    with tempfile.TemporaryDirectory(prefix="cacheplus-suite-") as temporary, ThreadPoolExecutor(PROCESSES) as pool:
        directory, dsn = Path(temporary), DATABASES[database]()
        pristine = sdist.unpack(archive, directory / "upstream")
        upstream = Bench("upstream", pristine, dsn, directory, str)
        if names is None:
            bench = Bench("django", pristine, dsn, directory, str)
        else:
            bench = Bench("ours", shutil.copytree(pristine, directory / "ours" / "tests"), dsn, directory, ours)
            rewrite_tree(bench.tests, names)
        expected = {} if names is None else EXPECTED
        judged = pool.map(lambda area: judge_area(area, bench, upstream, expected), areas)
        return dict(zip(areas, judged, strict=True))


def print_table(verdicts: dict[str, Verdict], show: int) -> None:
    """A row for each area, then what went wrong."""
    row = "{:<14}{:>8}{:>10}{:>10}{:>8}".format
    print(row("area", "passed", "skipped*", "expected", "wrong"))
    for name, verdict in verdicts.items():
        print(row(name, verdict.passed, verdict.skipped, verdict.expected, len(verdict.wrong)))
    counts = ("passed", "skipped", "expected")
    totals = [sum(getattr(verdict, count) for verdict in verdicts.values()) for count in counts]
    wrong = {test: text for verdict in verdicts.values() for test, text in verdict.wrong.items()}
    print(row("all", *totals, len(wrong)))
    print("* as in Django's own run\n")
    for test, text in list(wrong.items())[:LISTED]:
        print(f"WRONG {test}: {(text.strip().splitlines() or ['?'])[-1][:160]}")
    if len(wrong) > LISTED:
        print(f"... and {len(wrong) - LISTED} more")
    for test, text in list(wrong.items())[:show]:
        print(f"\n{'-' * 78}\n{test}\n{text}")


def main() -> int:
    arguments = parse_arguments()
    concerned = [area for area in AREAS if arguments.database == "sqlite" or AREAS[area].database]
    names = None if arguments.django else Names()
    if names is not None:
        # To look up the mapped names.
        settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "cacheplus"])
        django.setup()
    archive = arguments.django_tests or sdist.find(django.__version__, ROOT / "build" / "django_suite")
    verdicts = run(arguments.areas or concerned, arguments.database, archive, names)
    print(f"Django {django.__version__}, Python {sys.version.partition(' ')[0]}, {arguments.database}")
    print_table(verdicts, arguments.show)
    faults = [] if names is None else names.faults()
    for fault in faults:
        print(fault)
    is_good = not faults and not any(verdict.wrong for verdict in verdicts.values())
    print(f"Django's cache tests: {'passed' if is_good else 'FAILED'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
