"""Run make's targets on pairs of a Python that is here and a Django that supports it.

An interpreter counts as here when it runs: a name on PATH may be a shim that does not. pyenv's are found too.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PYTHONS = ((3, 11), (3, 12), (3, 13))
DJANGOS = ((5, 2), (6, 0), (6, 1))
# Django 6.0 dropped Python 3.11.
OLDEST_FOR_DJANGO_6 = (3, 12)

ENDS = (((3, 11), (5, 2)), ((3, 13), (6, 1)))
TRIAL = "import ensurepip, ssl, sqlite3, sys; print(*sys.version_info[:2])"
CLOSING = re.compile(r"=+ .*\d+ (passed|failed|error|errors|skipped)\b.* in [\d.]+s.* =+|Django's cache tests: .*")

Version = tuple[int, int]


def dotted(version: Version) -> str:
    return ".".join(map(str, version))


def candidates(version: Version) -> Iterator[str]:
    """Where a Python of `version` may be."""
    name = f"python{dotted(version)}"
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        yield str(Path(directory) / name)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{dotted(version)}*/bin/{name}"), reverse=True))
    yield sys.executable


def find_python(version: Version) -> str | None:
    """The first candidate that runs, is of `version` and can make a virtual environment."""
    for path in candidates(version):
        try:
            done = subprocess.run([path, "-c", TRIAL], capture_output=True, text=True, check=False, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and done.stdout.split() == list(map(str, version)):
            return path
    return None


def valid_pairs() -> list[tuple[Version, Version]]:
    """Every pair that Django supports."""
    return [
        (python, django) for python in PYTHONS for django in DJANGOS if django < (6, 0) or python >= OLDEST_FOR_DJANGO_6
    ]


def run(python: str, pair: tuple[Version, Version], target: str) -> tuple[int, str]:
    """Run one target of make; (exit status, the last closing line of a test run)."""
    name = "-".join(map(dotted, pair))
    command = ["make", target, f"PYTHON={python}", f"DJANGO={dotted(pair[1])}", f"VENV=.venv-{name}"]
    print(f"\n>>> {' '.join(command)}", flush=True)
    closing = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if CLOSING.fullmatch(line.strip()):
                closing = line.strip()
    return process.returncode, closing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", choices=["all", "ends"], default="all", help="ends: the oldest and the newest pair")
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="of make")
    arguments = parser.parse_args()
    pythons = {version: find_python(version) for version in PYTHONS}
    pairs = ENDS if arguments.pairs == "ends" else valid_pairs()
    rows, failed, ran = [], False, 0
    for pair in pairs:
        title = f"Python {dotted(pair[0])}, Django {dotted(pair[1])}"
        python = pythons[pair[0]]
        if python is None:
            rows.append(f"*** {title}: NOT RUN, there is no Python {dotted(pair[0])} here ***")
            continue
        for target in arguments.targets:
            status, closing = run(python, pair, target)
            ran += 1
            failed |= status != 0
            rows.append(f"{title}, {target}: {'passed' if status == 0 else f'FAILED ({status})'}\n{closing}")
    print("\n>>> summary")
    print("\n".join(rows))
    return int(failed or not ran)


if __name__ == "__main__":
    sys.exit(main())
