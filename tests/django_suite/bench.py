"""One tree of Django's tests, and how an area of it is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import servers
from tests.django_suite.areas import AREAS
from tests.django_suite.verdict import Report

ROOT = Path(__file__).resolve().parent.parent.parent
AREA_TIMEOUT = 900

_BACKENDS = "django.core.cache.backends"
# Areas with a server: each run has one of its own, since a memcached test empties all of it.
_SERVED: dict[str, tuple[str, type[servers.Redis | servers.Memcached]]] = {
    "redis": (f"{_BACKENDS}.redis.RedisCache", servers.Redis),
    "pymemcache": (f"{_BACKENDS}.memcached.PyMemcacheCache", servers.Memcached),
    "pylibmc": (f"{_BACKENDS}.memcached.PyLibMCCache", servers.Memcached),
}


@dataclass(frozen=True, slots=True)
class Bench:
    """`backend` gives the path that a backend of Django's has in this tree; `directory` takes the runs' own files."""

    name: str
    tests: Path
    database: dict[str, Any]
    directory: Path
    backend: Callable[[str], str]

    def run(self, area: str, only: list[str] | None = None) -> Report:
        """Run `area`, or `only` some tests of it, in a process of its own. Raises RuntimeError if that breaks off."""
        directory = self.directory / f"{self.name}-{area}"
        directory.mkdir()
        report = directory / "report.json"
        command = [sys.executable, "runtests.py", "--settings=tests.django_suite.settings", "--parallel=1"]
        with ExitStack() as stack:
            config = {
                "databases": {alias: self._database(alias, area) for alias in ("default", "other")},
                "caches": self._caches(area, stack),
                "only": only,
                "report": str(report),
            }
            output = self._execute([*command, *AREAS[area].labels], config, directory)
        if not report.exists():
            raise RuntimeError(f"the run of {area} broke off:\n{output[-3000:]}")
        return Report(**json.loads(report.read_text(encoding="utf-8")))

    def _execute(self, command: list[str], config: dict[str, Any], directory: Path) -> str:
        environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
        environment |= {"CACHEPLUS_SUITE": json.dumps(config), "PYTHONPATH": str(ROOT), "TMPDIR": str(directory)}
        try:
            done = subprocess.run(
                command,
                cwd=self.tests,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=AREA_TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{self.directory.name} took more than {AREA_TIMEOUT} s") from error
        return done.stdout

    def _database(self, alias: str, area: str) -> dict[str, Any]:
        # SQLite runs in memory, under no name.
        in_memory = self.database["ENGINE"].endswith("sqlite3")
        name = None if in_memory else f"suite_{self.name}_{alias}_{area}".replace("-", "_")
        return {**self.database, "TEST": {"NAME": name}}

    def _caches(self, area: str, stack: ExitStack) -> dict[str, Any]:
        caches = {"default": {"BACKEND": self.backend(f"{_BACKENDS}.locmem.LocMemCache")}}
        if area in _SERVED:
            dotted, kind = _SERVED[area]
            server = stack.enter_context(kind())
            location = server.url if isinstance(server, servers.Redis) else server.address
            caches[area] = {"BACKEND": self.backend(dotted), "LOCATION": location}
        return caches
