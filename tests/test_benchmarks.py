import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.rounds import interleave

ROOT = Path(__file__).parent.parent


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks", *arguments, "--rounds", "1", "--seconds", "0.001"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("only", ["get 100 B", "page, a hit", "{% cache %}, a hit"])
def test_each_contender_has_its_line_and_is_compared_with_the_first(only):
    done = run("locmem", "--only", only)
    assert (done.returncode, done.stderr) == (0, "")
    [first, second] = [line for line in done.stdout.splitlines() if re.search(r"(django|cacheplus) locmem", line)]
    assert first.startswith(only)
    assert re.search(r" 1 +1$", first)
    assert re.search(r" \d+\.\d\d( slower)? +\d+\.\d\d( slower)?$", second)


def test_a_group_that_does_not_exist_is_answered_with_those_that_do():
    done = run("locmemory")
    assert done.returncode == 2
    assert "unknown group locmemory; there are locmem, files, db, redis, memcached" in done.stderr


def test_the_contenders_take_turns_and_the_first_is_the_measure():
    turns = []

    def batch(name):
        return lambda calls: turns.append(name) or time.sleep(0.001 * calls)

    (_, measure), _ = interleave({"one": batch("one"), "other": batch("other")}, rounds=3, seconds=0.001)
    assert turns[-6:] == ["one", "other"] * 3
    assert measure.ratio == measure.cpu_ratio == 1
