import pytest

from tests.check_messages import DJANGOS_LOCMEM, DUMMY, LOCMEM, SHARED, UNLISTED, ids, one


@pytest.mark.parametrize("backend", [LOCMEM, DUMMY, DJANGOS_LOCMEM])
def test_pages_in_a_store_that_other_processes_do_not_see(settings, backend):
    settings.CACHES = {"default": {"BACKEND": backend}}

    assert "'default'" in one("cacheplus", deploy=True).msg
    assert one("cacheplus.W006", deploy=True).msg.count(backend.rpartition(".")[2]) == 1
    assert ids() == []


def test_the_pages_of_the_middleware_are_in_its_own_alias(settings):
    settings.CACHES = {"default": {"BACKEND": SHARED}, "pages": {"BACKEND": LOCMEM}}
    settings.MIDDLEWARE = ["cacheplus.middleware.CacheMiddleware"]
    assert ids(deploy=True) == []

    settings.CACHE_MIDDLEWARE_ALIAS = "pages"
    assert "'pages'" in one("cacheplus.W006", deploy=True).msg


def test_a_clear_that_goes_beyond_the_prefix(caches):
    caches(other={"BACKEND": UNLISTED, "KEY_PREFIX": "site"})
    assert "'other'" in one("cacheplus.W007").msg

    caches(other={"BACKEND": UNLISTED}, scoped={"BACKEND": SHARED, "KEY_PREFIX": "site"})
    assert ids() == []


@pytest.fixture
def sessions(settings):
    def configure(engine="cache", backend=SHARED, **options):
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        settings.SESSION_CACHE_ALIAS = "sessions"
        settings.CACHES = {
            "default": {"BACKEND": SHARED},
            "sessions": {"BACKEND": backend, "OPTIONS": options} if options else {"BACKEND": backend},
        }

    return configure


def test_sessions_that_cannot_be_read_after_a_switch(sessions):
    sessions()

    assert "'sessions'" in one("cacheplus", deploy=True).msg
    assert "ACCEPT_DJANGO" in one("cacheplus.I001", deploy=True).hint
    assert ids() == []


def test_sessions_that_are_also_in_the_database_survive_a_switch(sessions):
    sessions(engine="cached_db", ON_FAULT="miss")

    assert ids(deploy=True) == []


def test_sessions_on_somebody_elses_backend_are_not_ours_to_judge(sessions):
    sessions(backend=DJANGOS_LOCMEM)

    assert ids(deploy=True) == []


def test_a_move_that_never_ends(sessions):
    sessions(ACCEPT_DJANGO=True)

    assert "pickles without a signature" in one("cacheplus", deploy=True).msg
    assert one("cacheplus.W009", deploy=True)
    assert ids() == []


def test_sessions_that_take_a_fault_for_a_miss(sessions):
    sessions(ON_FAULT="miss")
    assert "cached_db" in one("cacheplus.W008").hint

    sessions(engine="cached_db", ON_FAULT="miss")
    assert ids() == []


def test_sessions_in_the_database_that_fail_with_the_cache(sessions):
    sessions(engine="cached_db")
    assert "'sessions'" in one("cacheplus.W010").msg
    assert "ON_FAULT" in one("cacheplus.W010").hint

    sessions(engine="cached_db", backend=LOCMEM)
    assert ids() == []
    sessions(engine="cached_db", backend=DJANGOS_LOCMEM)
    assert ids() == []
