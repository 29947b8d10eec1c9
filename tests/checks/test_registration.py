import os
import re
import subprocess
import sys
from pathlib import Path

from django.core.checks import CheckMessage
from django.core.checks.registry import registry

import cacheplus.checks
from tests.check_messages import DATABASE, SHARED, UNLISTED, found, ids


def test_checks_do_not_connect_to_anything(settings):
    settings.CACHES = {"default": {"BACKEND": SHARED}, "table": {"BACKEND": DATABASE, "LOCATION": "entries"}}
    settings.MIDDLEWARE = ["cacheplus.middleware.CacheMiddleware"]

    assert ids(deploy=True) == []  # pytest-django refuses every connection to a database here


def test_every_id_is_used_by_one_check_alone():
    source = Path(cacheplus.checks.__file__).parent
    used = [name for path in source.glob("*.py") for name in re.findall(r'id="(cacheplus\.\w+)"', path.read_text())]

    assert len(used) > 15
    assert sorted(used) == sorted(set(used))


def test_every_error_and_warning_of_ours_has_a_way_out(settings):
    settings.CACHES = {
        "default": {"BACKEND": UNLISTED, "KEY_PREFIX": "a", "MAX_ENTRIES": 3, "TIMEOUT": "soon"},
        "broken": {"BACKEND": "no.such.Backend"},
    }
    settings.CACHEPLUS = {"WOBBLE": 1, "PREFIX_DEPTH": -1, "CACHE_TABLE_DATABASE": "nowhere"}
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "cacheplus.middleware.UpdateCacheMiddleware",
    ]

    messages = found(deploy=True)

    assert len({message.id for message in messages}) >= 9
    assert all(isinstance(message, CheckMessage) and message.hint for message in messages)


def test_every_check_is_registered_once_and_can_be_run_by_tag():
    ours = [
        check
        for check in registry.get_checks(include_deployment_checks=True)
        if check.__module__.startswith("cacheplus.")
    ]

    assert len(ours) == len(set(ours)) == len(cacheplus.checks._ALWAYS) + len(cacheplus.checks._DEPLOY) + 1
    assert {check.__name__ for check in ours if "cacheplus" not in check.tags} == {"check_tables"}


def test_the_database_is_asked_only_by_a_check_that_says_so():
    [check] = [check for check in registry.get_checks() if check.__name__ == "check_tables"]

    assert check.tags == ("database",)


def test_the_command_line_shows_a_broken_site_instead_of_a_traceback(tmp_path):
    (tmp_path / "broken_settings.py").write_text(
        "from testproject.settings import *\n"
        "CACHES = {'default': {'BACKEND': 'cacheplus.backends.locmem.LocMemCache', 'MAX_ENTRIES': 3}}\n"
        "CACHEPLUS = {'PREFIX_DEEP': 3}\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "broken_settings", "PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}

    run = subprocess.run(
        [sys.executable, "-m", "django", "check"], env=environment, capture_output=True, text=True, check=False
    )

    assert run.returncode == 1
    assert "(cacheplus.E001)" in run.stderr
    assert "(cacheplus.E006)" in run.stderr
    assert "Traceback" not in run.stderr
