"""Edit the demonstration blog at random under TRACK_TABLES, and nothing else that expires a page.

After every edit all pages are read, and compared with what they would be without a cache. Prints the share of hits.
Exit status 1 means that a page was too old.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import django
from django.conf import settings

from tests import servers

_WAL = {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF"}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.random_edits", description=__doc__)
    parser.add_argument("--edits", type=int, default=500, help="how many (500)")
    parser.add_argument("--seed", type=int, default=1, help="which (1)")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--isolation", choices=("read-committed", "repeatable-read"), default="read-committed")
    return parser.parse_args()


def database(asked: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """An entry for DATABASES."""
    if asked.database == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": directory / "blog.sqlite3", "OPTIONS": _WAL}
    from django.db.backends.postgresql.psycopg_any import IsolationLevel  # noqa: PLC0415 - needs psycopg

    level = IsolationLevel[asked.isolation.replace("-", "_").upper()]
    return servers.postgres().dsn | {"OPTIONS": {"isolation_level": level}}


def set_up(asked: argparse.Namespace, directory: Path) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "testproject.settings"
    kept = {"BACKEND": "cacheplus.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}}
    settings.DATABASES = {"default": database(asked, directory)}
    settings.CACHES = {alias: kept | {"LOCATION": alias} for alias in ("default", "template_fragments")}
    settings.CACHEPLUS = {"TRACK_TABLES": True, "EXPIRE_ON_UNSAFE": False}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    django.setup()


def run(asked: argparse.Namespace) -> int:
    # Only now that Django is set up.
    from django.core.management import call_command  # noqa: PLC0415

    from testproject.blog.factories import fill  # noqa: PLC0415
    from tests.random_edits.readers import StalePageError  # noqa: PLC0415
    from tests.random_edits.story import Story  # noqa: PLC0415
    from tests.sites import nobody_listens  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    fill()
    with nobody_listens():
        story = Story(asked.seed)
        try:
            story.tell(asked.edits)
        except StalePageError as error:
            print(error)
            return 1
    share = story.reader.hits / story.reader.asked
    print(", ".join(f"{name}: {times}" for name, times in sorted(story.told.items())))
    print(f"{asked.edits} edits, {story.reader.asked} pages read, {share:.0%} from the cache, none too old")
    return 0


def main() -> int:
    asked = parse_arguments()
    with tempfile.TemporaryDirectory() as directory:
        try:
            set_up(asked, Path(directory))
            return run(asked)
        finally:
            servers.stop_all()


if __name__ == "__main__":
    sys.exit(main())
