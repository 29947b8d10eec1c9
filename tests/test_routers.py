import pytest
from django.contrib.auth.models import User
from django.core.cache.backends.db import BaseDatabaseCache
from django.db import router
from django.test import override_settings

ENTRY = BaseDatabaseCache("entries", {}).cache_model_class
BOTH = {"CACHE_TABLE_DATABASE": "caches", "CACHE_TABLE_REPLICA": "caches_replica"}


@pytest.fixture
def routed(settings):
    def configure(**cacheplus):
        settings.CACHEPLUS = cacheplus
        settings.DATABASE_ROUTERS = ["cacheplus.routers.CacheRouter"]

    return configure


def test_cache_tables_are_written_to_their_database_and_read_from_its_replica(routed):
    routed(**BOTH)

    assert router.db_for_write(ENTRY) == "caches"
    assert router.db_for_read(ENTRY) == "caches_replica"


def test_without_a_replica_they_are_read_where_they_are_written(routed):
    routed(CACHE_TABLE_DATABASE="caches")

    assert router.db_for_read(ENTRY) == "caches"


def test_they_are_made_on_their_database_alone(routed):
    routed(**BOTH)

    assert router.allow_migrate_model("caches", ENTRY) is True
    assert router.allow_migrate_model("caches_replica", ENTRY) is False
    assert router.allow_migrate_model("default", ENTRY) is False


def test_other_models_are_left_alone(routed):
    routed(**BOTH)

    assert router.db_for_write(User) == "default"
    assert router.db_for_read(User) == "default"
    assert router.allow_migrate_model("default", User) is True
    assert router.allow_migrate_model("caches", User) is True


def test_without_settings_the_next_router_decides(routed):
    routed()

    assert router.db_for_write(ENTRY) == "default"
    assert router.allow_migrate_model("default", ENTRY) is True


class DocumentedRouter:
    """The example of Django's documentation."""

    def db_for_read(self, model, **hints):
        return "cache_replica" if model._meta.app_label == "django_cache" else None

    def db_for_write(self, model, **hints):
        return "cache_primary" if model._meta.app_label == "django_cache" else None

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return db == "cache_primary" if app_label == "django_cache" else None


def test_a_router_of_the_site_that_comes_first_wins():
    routers = [DocumentedRouter(), "cacheplus.routers.CacheRouter"]
    with override_settings(CACHEPLUS=BOTH, DATABASE_ROUTERS=routers):
        assert router.db_for_write(ENTRY) == "cache_primary"
        assert router.db_for_read(ENTRY) == "cache_replica"
        assert router.allow_migrate_model("caches", ENTRY) is False
