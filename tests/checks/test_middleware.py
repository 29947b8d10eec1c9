import pytest
from django.middleware.cache import UpdateCacheMiddleware

from tests.check_messages import DJANGOS_LOCMEM, found, ids, one

UPDATE, FETCH, WHOLE = (
    f"cacheplus.middleware.{name}" for name in ("UpdateCacheMiddleware", "FetchFromCacheMiddleware", "CacheMiddleware")
)
DJANGOS_UPDATE, DJANGOS_FETCH = (
    f"django.middleware.cache.{name}" for name in ("UpdateCacheMiddleware", "FetchFromCacheMiddleware")
)
SECURITY = "django.middleware.security.SecurityMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
INSIDE = [SESSION, LOCALE, GZIP, CSRF, AUTH, MESSAGES]


class OwnUpdate(UpdateCacheMiddleware):
    pass


OWN_UPDATE = f"{__name__}.OwnUpdate"


@pytest.mark.parametrize(
    "middleware",
    [
        [],
        [SECURITY, COMMON, *INSIDE],
        [WHOLE],
        [WHOLE, SECURITY, *INSIDE, COMMON],
        [UPDATE, SECURITY, *INSIDE, COMMON, FETCH],
        [UPDATE, FETCH],
        [SECURITY, UPDATE, COMMON, *INSIDE, FETCH],
        [DJANGOS_UPDATE, *INSIDE, DJANGOS_FETCH],
        [OWN_UPDATE, *INSIDE, DJANGOS_FETCH],
        ["no.such.Middleware", SESSION],
    ],
)
def test_good_orders(settings, middleware):
    settings.MIDDLEWARE = middleware

    assert ids() == []


@pytest.mark.parametrize(
    ("half", "missing"),
    [(UPDATE, FETCH), (FETCH, UPDATE), (DJANGOS_UPDATE, DJANGOS_FETCH), (OWN_UPDATE, DJANGOS_FETCH)],
)
def test_one_half_without_the_other(settings, half, missing):
    settings.MIDDLEWARE = [half]

    assert repr(half) in one("cacheplus").msg
    assert repr(missing) in one("cacheplus.E010").hint


@pytest.mark.parametrize(
    "middleware",
    [
        [UPDATE, SESSION, DJANGOS_FETCH],
        [DJANGOS_UPDATE, SESSION, FETCH],
        [WHOLE, UPDATE, SESSION, FETCH],
        [WHOLE, DJANGOS_UPDATE, DJANGOS_FETCH],
        [UPDATE, UPDATE, FETCH],
        [WHOLE, WHOLE],
    ],
)
def test_more_than_one_page_cache_or_halves_of_two(settings, middleware):
    settings.MIDDLEWARE = middleware

    assert found("cacheplus.E011")
    assert found("cacheplus.E010") == []


@pytest.mark.parametrize("outside", INSIDE)
@pytest.mark.parametrize(
    ("update", "fetch"), [(UPDATE, FETCH), (DJANGOS_UPDATE, DJANGOS_FETCH), (OWN_UPDATE, DJANGOS_FETCH)]
)
def test_an_update_half_that_does_not_see_the_headers_of_another(settings, outside, update, fetch):
    settings.MIDDLEWARE = [outside, update, fetch]

    assert repr(update) in one("cacheplus").msg
    assert repr(outside) in one("cacheplus.E012").msg


@pytest.mark.parametrize("outside", INSIDE)
def test_the_one_line_middleware_inside_of_what_writes_headers(settings, outside):
    settings.MIDDLEWARE = [outside, WHOLE]

    assert repr(outside) in one("cacheplus.E012").msg


@pytest.mark.parametrize("inside", INSIDE)
def test_a_fetch_half_that_looks_up_too_early(settings, inside):
    settings.MIDDLEWARE = [UPDATE, FETCH, inside]

    assert repr(inside) in one("cacheplus.E013").msg


def test_a_swapped_pair_is_wrong_on_both_sides(settings):
    settings.MIDDLEWARE = [FETCH, SESSION, UPDATE]

    assert ids() == ["cacheplus.E013", "cacheplus.E012"]


def test_a_one_line_middleware_that_is_not_first(settings):
    settings.MIDDLEWARE = [SECURITY, WHOLE, SESSION]

    assert repr(SECURITY) in one("cacheplus.W001").msg


def test_a_fetch_half_that_is_not_last(settings):
    settings.MIDDLEWARE = [UPDATE, FETCH, COMMON]

    assert repr(COMMON) in one("cacheplus.W002").msg


def test_the_middleware_without_an_alias(settings):
    settings.MIDDLEWARE = [WHOLE]
    settings.CACHE_MIDDLEWARE_ALIAS = "pages"

    assert "'pages'" in one("cacheplus.E014").msg
    assert "'default'" in one("cacheplus.E014").hint


def test_the_middleware_on_an_alias_of_somebody_else(settings, caches):
    caches(pages={"BACKEND": DJANGOS_LOCMEM})
    settings.MIDDLEWARE = [UPDATE, FETCH]
    settings.CACHE_MIDDLEWARE_ALIAS = "pages"

    assert "not one of cacheplus" in one("cacheplus.E014").msg


def test_the_alias_of_djangos_middleware_is_djangos_business(settings):
    settings.MIDDLEWARE = [DJANGOS_UPDATE, DJANGOS_FETCH]
    settings.CACHE_MIDDLEWARE_ALIAS = "pages"

    assert ids() == []
