import importlib
import subprocess
import sys

import pytest

import cacheplus

EXPECTED = {
    "CacheMixin",
    "add_cache_tags",
    "aexpire_tags",
    "aexpire_view_cache",
    "cache_page",
    "cache_url",
    "cached",
    "expire_changed",
    "expire_fragment",
    "expire_on_change",
    "expire_tags",
    "expire_view_cache",
    "memo",
}


def python(code):
    """Run `code` in a fresh interpreter without settings; what it prints."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env={"PATH": ""})
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_the_public_names_are_these():
    assert set(cacheplus.__all__) == EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_public_name_is_that_of_its_module(name):
    value = getattr(cacheplus, name)

    assert value is getattr(importlib.import_module(value.__module__), name)
    assert value.__module__.startswith("cacheplus.")
    assert value.__doc__


def test_dir_shows_them_before_they_are_used():
    assert python("import cacheplus; print(set(cacheplus.__all__) <= set(dir(cacheplus)))") == "True"


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'cacheplus' has no attribute 'invalidate'"):
        _ = cacheplus.invalidate


def test_importing_the_package_imports_nothing_of_django():
    assert python("import sys, cacheplus; print([name for name in sys.modules if name.startswith('django')])") == "[]"


def test_a_settings_file_may_use_it():
    code = """
import sys
from cacheplus import cache_url
CACHES = {"default": cache_url("redis://localhost:6379/1")}
from django.conf import settings
drivers = {"redis", "django_redis", "pymemcache", "pylibmc", "lmdb", "django.core.cache", "django.db"}
print(settings.configured, sorted(drivers & set(sys.modules)))
"""
    assert python(code) == "False []"


def test_the_version_is_that_of_the_installed_package_or_of_the_source():
    assert cacheplus.__version__.count(".") == 2
    assert all(part.isdecimal() for part in cacheplus.__version__.split("."))
