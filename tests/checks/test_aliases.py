import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.check_messages import DJANGOS_LOCMEM, LOCMEM, NEEDS_LIBRARY, QUOTING, ids, one


@pytest.mark.parametrize("backend", ["no.such.Backend", "cacheplus.backends.locmem.NoSuchCache", "nonsense"])
def test_a_backend_that_cannot_be_imported(caches, backend):
    caches(other={"BACKEND": backend})

    assert "CACHES['other']" in one("cacheplus").msg
    assert backend in one("cacheplus.E005").msg


def test_a_backend_whose_library_is_missing_says_how_to_install_it(caches):
    caches(other={"BACKEND": NEEDS_LIBRARY})

    assert "pip install 'cacheplus[memcached]'" in one("cacheplus.E005").hint


def test_a_library_that_is_missing_when_the_module_of_a_backend_is_imported(caches, tmp_path, monkeypatch):
    (tmp_path / "backend_of_the_site.py").write_text("import pylibmc.no_such_module\n")
    monkeypatch.setitem(sys.modules, "pylibmc", None)
    monkeypatch.syspath_prepend(tmp_path)
    caches(other={"BACKEND": "backend_of_the_site.Cache"})

    assert "pip install 'cacheplus[pylibmc]'" in one("cacheplus.E005").hint


@pytest.mark.parametrize(
    ("library", "backend", "extra"),
    [
        ("redis", "redis.RedisCache", "redis"),
        ("django_redis", "redis.RedisCache", "redis"),
        ("pymemcache", "memcached.PyMemcacheCache", "memcached"),
        ("pylibmc", "memcached.PyLibMCCache", "pylibmc"),
        ("lmdb", "lmdb.LMDBCache", "lmdb"),
    ],
)
def test_a_backend_of_ours_without_its_library_says_how_to_install_it(tmp_path, library, backend, extra):
    (tmp_path / "bare_settings.py").write_text(
        f"import sys\nsys.modules[{library!r}] = None\n"
        f"from testproject.settings import *\n"
        f"CACHES = {{'default': {{'BACKEND': 'cacheplus.backends.{backend}', 'LOCATION': {str(tmp_path)!r}}}}}\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "bare_settings", "PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}

    run = subprocess.run(
        [sys.executable, "-m", "django", "check", "--tag", "cacheplus"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert f"pip install 'cacheplus[{extra}]'" in run.stderr
    assert "Traceback" not in run.stderr


def test_an_entry_without_a_backend(caches):
    caches(other={"LOCATION": "x"})

    assert "CACHES['other']" in one("cacheplus.E005").msg


def test_a_password_in_an_error_is_not_shown(caches):
    caches(other={"BACKEND": QUOTING, "LOCATION": "redis://bob:s3cret@h"})

    assert "s3cret" not in repr(one("cacheplus.E005"))


@pytest.mark.parametrize(
    "options", [{"SERIALIZER": "no.such.Serializer"}, {"SERIALIZER": "xml"}, {"COMPRESSOR": "brotli"}]
)
def test_a_codec_that_cannot_be_made(caches, options):
    # One that writes records; the stand-ins of these checks keep nothing.
    caches(other={"BACKEND": "cacheplus.backends.db.DatabaseCache", "LOCATION": "table", "OPTIONS": options})

    assert "CACHES['other']" in one("cacheplus.E005").msg


@pytest.mark.parametrize(
    ("key", "way_out"),
    [
        ("MAX_ENTRIES", "OPTIONS"),
        ("CULL_FREQUENCY", "OPTIONS"),
        ("SERIALIZER", "OPTIONS"),
        ("TIMEOT", "'TIMEOUT'"),
        ("KEY_PREFX", "'KEY_PREFIX'"),
        ("location", "'LOCATION'"),
    ],
)
def test_an_unknown_or_misplaced_key_of_caches(caches, key, way_out):
    caches(other={"BACKEND": LOCMEM, key: "x"})

    assert f"CACHES['other'] has a key {key!r}" in one("cacheplus").msg
    assert way_out in one("cacheplus.E006").hint


def test_all_keys_that_django_reads_are_known(caches):
    caches(
        other={
            "BACKEND": LOCMEM,
            "LOCATION": "x",
            "TIMEOUT": 30,
            "KEY_PREFIX": "p",
            "VERSION": 2,
            "KEY_FUNCTION": "django.core.cache.backends.base.default_key_func",
            "OPTIONS": {"MAX_ENTRIES": 30, "CULL_FREQUENCY": 2},
        },
        old={"BACKEND": LOCMEM, "timeout": 30, "max_entries": 30, "cull_frequency": 2},
    )

    assert ids() == []


def test_the_keys_of_somebody_elses_backend_are_their_own(caches):
    caches(other={"BACKEND": DJANGOS_LOCMEM, "MAX_ENTRIES": 3, "TIMEOUT": "soon"})

    assert ids() == []


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({"TIMEOUT": "soon"}, "['TIMEOUT']"),
        ({"TIMEOUT": 0.5}, "['TIMEOUT']"),
        ({"TIMEOUT": True}, "['TIMEOUT']"),
        ({"timeout": "soon"}, "['timeout']"),
        ({"VERSION": "two"}, "['VERSION']"),
        ({"VERSION": None}, "['VERSION']"),
        ({"max_entries": -1}, "['max_entries']"),
        ({"OPTIONS": {"MAX_ENTRIES": "many"}}, "['OPTIONS']['MAX_ENTRIES']"),
        ({"OPTIONS": {"MAX_ENTRIES": None}}, "['OPTIONS']['MAX_ENTRIES']"),
        ({"OPTIONS": {"CULL_FREQUENCY": -3}}, "['OPTIONS']['CULL_FREQUENCY']"),
        ({"OPTIONS": {"CULL_FREQUENCY": [3]}}, "['OPTIONS']['CULL_FREQUENCY']"),
    ],
)
def test_a_number_that_is_none_names_alias_option_and_value(caches, entry, place):
    caches(other={"BACKEND": LOCMEM, **entry})
    value = next(iter(entry.get("OPTIONS", entry).values()))

    message = one("cacheplus")

    assert message.id == "cacheplus.E007"
    assert message.msg == f"CACHES['other']{place} is {value!r}."
    assert "whole number" in message.hint


@pytest.mark.parametrize("timeout", [None, 0, -1, 60, "60", 60.0])
def test_a_timeout_that_django_takes(caches, timeout):
    caches(other={"BACKEND": LOCMEM, "TIMEOUT": timeout})

    assert ids() == []


def test_a_backend_adds_what_it_knows_of_its_own_options(caches):
    caches(other={"BACKEND": LOCMEM, "OPTIONS": {"KEY_POLICY": "md5"}})

    assert "'KEY_POLICY'" in one("cacheplus").msg
