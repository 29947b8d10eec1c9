import pytest

from cacheplus.routers import CacheRouter
from tests.check_messages import ids, one


def test_an_unknown_key_of_cacheplus_is_named_with_the_nearest_one(settings):
    settings.CACHEPLUS = {"PREFIX_DEEP": 3}

    assert "'PREFIX_DEEP'" in one("cacheplus.E001").msg
    assert "'PREFIX_DEPTH'" in one("cacheplus.E001").hint


def test_a_bad_value_of_cacheplus_is_shown_with_what_is_expected(settings):
    settings.CACHEPLUS = {"PREFIX_DEPTH": "three"}

    assert "CACHEPLUS['PREFIX_DEPTH'] is 'three'" in one("cacheplus.E002").msg
    assert "0 or more" in one("cacheplus.E002").hint


@pytest.mark.parametrize("given", [["PREFIX_DEPTH"], "PREFIX_DEPTH", 3])
def test_a_cacheplus_that_is_no_dict_does_not_stop_the_checks(settings, given):
    settings.CACHEPLUS = given

    assert ids() == ["cacheplus.E002"]


@pytest.mark.parametrize("key", ["CACHE_TABLE_DATABASE", "CACHE_TABLE_REPLICA"])
def test_a_database_of_the_cache_tables_that_does_not_exist(settings, key):
    settings.CACHEPLUS = {key: "nowhere"}
    settings.DATABASE_ROUTERS = ["cacheplus.routers.CacheRouter"]

    assert f"CACHEPLUS[{key!r}] is 'nowhere'" in one("cacheplus").msg
    assert "'default'" in one("cacheplus.E003").hint


def test_databases_of_the_cache_tables_without_the_router_have_no_effect(settings):
    settings.CACHEPLUS = {"CACHE_TABLE_DATABASE": "default"}

    assert "'CACHE_TABLE_DATABASE'" in one("cacheplus.W003").msg
    assert "cacheplus.routers.CacheRouter" in one("cacheplus.W003").hint


class OwnRouter(CacheRouter):
    pass


@pytest.mark.parametrize(
    "router", ["cacheplus.routers.CacheRouter", CacheRouter(), f"{__name__}.OwnRouter", OwnRouter()]
)
def test_the_router_is_known_in_every_form(settings, router):
    settings.CACHEPLUS = {"CACHE_TABLE_DATABASE": "default"}
    settings.DATABASE_ROUTERS = [router]

    assert ids() == []


@pytest.mark.parametrize("seconds", [None, 0, 600, 0.5])
def test_good_seconds_of_the_middleware(settings, seconds):
    settings.CACHE_MIDDLEWARE_SECONDS = seconds

    assert ids() == []


@pytest.mark.parametrize("seconds", ["600", True, -1])
def test_bad_seconds_of_the_middleware(settings, seconds):
    settings.CACHE_MIDDLEWARE_SECONDS = seconds

    assert repr(seconds) in one("cacheplus.E004").msg
