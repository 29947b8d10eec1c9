import secrets
import subprocess
import sys
from contextlib import suppress

import pytest
from django.core.cache import cache, caches
from django.test import override_settings

from cacheplus.backends.locmem import LocMemCache
from cacheplus.backends.redis import RedisCache
from cacheplus.testing import isolated_caches

BACKEND = "cacheplus.backends.locmem.LocMemCache"


@pytest.fixture(autouse=True)
def _aliases():
    location = secrets.token_hex(8)
    entry = {"BACKEND": BACKEND, "LOCATION": location, "OPTIONS": {"MAX_ENTRIES": 50}}
    neighbour = {**entry, "KEY_PREFIX": "site"}
    with override_settings(CACHES={"default": entry, "neighbour": neighbour}):
        yield


def test_nothing_comes_in_and_nothing_goes_out():
    cache.set("before", "value", tags=["tag"])
    with isolated_caches():
        assert cache.get("before") is None
        cache.set("inside", "value")
        cache.expire_tags("tag")
        assert cache.get("inside") == "value"
    assert cache.get_many(["before", "inside"]) == {"before": "value"}


def test_two_tests_do_not_meet():
    for _ in range(2):
        with isolated_caches():
            assert cache.add("key", "value") is True
            with cache.lock("key", wait=0):
                pass


def test_every_alias_keeps_its_settings_and_what_told_it_apart():
    with isolated_caches() as prefix:
        assert caches["default"].key_prefix == prefix
        assert caches["neighbour"].key_prefix == f"{prefix}site"
        assert caches["neighbour"]._max_entries == 50
        assert caches["neighbour"].alias == "neighbour"
        caches["default"].set("key", "value")
        assert caches["neighbour"].get("key") is None
    assert caches["neighbour"].key_prefix == "site"


def test_it_nests_and_ends_with_an_error():
    with isolated_caches() as outer:
        cache.set("key", "outer")
        with suppress(KeyError), isolated_caches() as inner:
            assert inner != outer
            assert cache.get("key") is None
            raise KeyError
        assert cache.get("key") == "outer"


def test_it_decorates_a_function():
    @isolated_caches()
    def work():
        cache.set("key", "value")
        return cache.key_prefix

    assert work() != work()
    assert cache.get("key") is None


def test_workers_are_told_apart(monkeypatch):
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        with isolated_caches() as prefix:
            assert prefix.startswith(f"{worker}.")


def test_what_this_process_kept_is_dropped():
    with isolated_caches():
        caches["default"].set("key", "value", None)
        kept = caches["default"]
        assert isinstance(kept, LocMemCache)
        assert kept.get("key") == "value"
    assert kept.get("key") is None


def test_a_server_is_not_flushed(redis_server):
    direct = RedisCache(redis_server.url, {"KEY_PREFIX": secrets.token_hex(4)})
    direct.set("of-somebody-else", "value", 60)
    entry = {"BACKEND": "cacheplus.backends.redis.RedisCache", "LOCATION": redis_server.url}
    with override_settings(CACHES={"default": entry}), isolated_caches() as prefix:
        cache.set("key", "value", 60)
    assert direct.get("of-somebody-else") == "value"
    # What the test stored is left to its timeout.
    assert RedisCache(redis_server.url, {"KEY_PREFIX": prefix}).get("key") == "value"


def test_a_server_that_is_gone_does_not_keep_a_test_from_ending():
    entry = {"BACKEND": "cacheplus.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    with override_settings(CACHES={"default": entry}), isolated_caches():
        assert caches["default"].key_prefix


def test_the_contract_is_imported_only_when_it_is_asked_for():

    script = "import sys; from cacheplus.testing import isolated_caches; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
