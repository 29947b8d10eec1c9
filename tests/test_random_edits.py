"""The blog under TRACK_TABLES, edited at random; `python -m tests.random_edits` is the long run of it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import Postgres

ROOT = Path(__file__).parent.parent
EDITS = 5

DATABASES = {
    "sqlite": ["--database", "sqlite"],
    "postgres at read committed": ["--database", "postgres"],
    "postgres at repeatable read": ["--database", "postgres", "--isolation", "repeatable-read"],
}


@pytest.mark.parametrize("name", DATABASES)
def test_no_page_is_older_than_the_last_committed_edit(name):
    if name.startswith("postgres"):
        Postgres.find(Postgres.program)
    command = [sys.executable, "-m", "tests.random_edits", "--edits", str(EDITS), *DATABASES[name]]

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    asked, share = re.search(rf"{EDITS} edits, (\d+) pages read, (\d+)% from the cache", run.stdout).groups()
    assert int(asked) >= 13 * EDITS
    assert int(share) > 0
