"""What Django's own backend wrote: read under ACCEPT_DJANGO, a miss without it, and never executed then."""

import pytest
from django.core.cache.backends.filebased import FileBasedCache as DjangoFileBasedCache
from django.core.cache.backends.memcached import PyLibMCCache as DjangoPyLibMCCache
from django.core.cache.backends.memcached import PyMemcacheCache as DjangoPyMemcacheCache
from django.core.cache.backends.redis import RedisCache as DjangoRedisCache

from cacheplus.backends.filebased import FileBasedCache
from cacheplus.backends.memcached import PyLibMCCache, PyMemcacheCache
from cacheplus.backends.redis import RedisCache

# pylibmc asks its arguments in a way that newer Pythons warn of.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in PyMapping_HasKeyString")

VALUES = {"text": "a", "number": 42, "list": [1, {"two": (3, None)}], "set": {1, 2}, "none": None, "bytes": b"\x00\xff"}
ACCEPTING = {"OPTIONS": {"ACCEPT_DJANGO": True}}


class Alarm:
    """Its pickle raises the alarm when it is loaded."""

    rung = False

    def __reduce__(self):
        return Alarm.ring, ()

    @staticmethod
    def ring():
        Alarm.rung = True


SERVERS = {
    "redis": (DjangoRedisCache, RedisCache, lambda request: request.getfixturevalue("redis_server").url),
    "pymemcache": (DjangoPyMemcacheCache, PyMemcacheCache, lambda r: r.getfixturevalue("memcached_server").address),
    "pylibmc": (DjangoPyLibMCCache, PyLibMCCache, lambda r: r.getfixturevalue("memcached_server").address),
}
STORES = {
    "filebased": (DjangoFileBasedCache, FileBasedCache, lambda request: str(request.getfixturevalue("tmp_path"))),
    **SERVERS,
}


@pytest.fixture
def build(request):
    """Builds (Django's backend, ours with these parameters) for the same place."""
    built = []

    def build(store, **params):
        django, ours, place = STORES[store]
        location = place(request)
        built.extend([django(location, {}), ours(location, params)])
        return built[-2:]

    yield build
    for each in built:
        client = getattr(each, "_cache", None)
        each.close()
        if hasattr(client, "disconnect_all"):
            client.disconnect_all()


@pytest.mark.parametrize("store", STORES)
def test_what_django_wrote_is_read_where_it_is_accepted(store, build):
    django, ours = build(store, **ACCEPTING)
    django.set_many({f"accepted-{key}": value for key, value in VALUES.items()}, 60)
    assert ours.get_many([f"accepted-{key}" for key in VALUES]) == {
        f"accepted-{key}": value for key, value in VALUES.items()
    }


@pytest.mark.parametrize("store", STORES)
def test_what_django_wrote_is_a_miss_otherwise_and_is_not_executed(store, build):
    django, ours = build(store)
    Alarm.rung = False
    django.set("alarm", Alarm(), 60)
    django.set("list", [1, 2], 60)
    assert ours.get_many(["alarm", "list"]) == {}
    assert ours.get("alarm", "miss") == "miss"
    assert Alarm.rung is False


@pytest.mark.parametrize("store", STORES)
def test_a_pickle_is_not_executed_where_another_serializer_is_set(store, build):
    django, ours = build(store, OPTIONS={"ACCEPT_DJANGO": True, "SERIALIZER": "json"})
    Alarm.rung = False
    django.set("alarm", Alarm(), 60)
    assert ours.get("alarm", "miss") == "miss"
    assert Alarm.rung is False


@pytest.mark.parametrize("store", STORES)
def test_what_is_written_over_it_is_ours(store, build):
    django, ours = build(store, **ACCEPTING)
    django.set("over", "old", 60)
    ours.set("over", "new", 60)
    assert ours.get("over") == "new"
    assert ours.delete("over") is True
    assert ours.get("over") is None


@pytest.mark.parametrize("store", SERVERS)
def test_a_counter_of_django_goes_on(store, build):
    django, ours = build(store, **ACCEPTING)
    django.set("counter", 41, 60)
    assert ours.incr("counter") == 42
