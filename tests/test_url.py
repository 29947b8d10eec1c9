import warnings

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured

from cacheplus.backends.options import TABLE
from cacheplus.url import CacheURLError, CacheURLWarning, cache_url
from tests import servers

LOCMEM = "cacheplus.backends.locmem.LocMemCache"
FILE = "cacheplus.backends.filebased.FileBasedCache"
REDIS = "cacheplus.backends.redis.RedisCache"
PYMEMCACHE = "cacheplus.backends.memcached.PyMemcacheCache"
PYLIBMC = "cacheplus.backends.memcached.PyLibMCCache"


@pytest.mark.parametrize(
    ("url", "backend", "location"),
    [
        ("locmem://", LOCMEM, ""),
        ("locmem:///", LOCMEM, ""),
        ("locmem://tests", LOCMEM, "tests"),
        ("LOCMEM://tests", LOCMEM, "tests"),
        ("dummy://", "cacheplus.backends.dummy.DummyCache", ""),
        ("db://my_cache_table", "cacheplus.backends.db.DatabaseCache", "my_cache_table"),
        ("file:///var/tmp/site%20cache", FILE, "/var/tmp/site cache"),
        ("file:///var/tmp/cache/", FILE, "/var/tmp/cache"),
        ("file:///", FILE, "/"),
        ("file://c:/foo/bar", FILE, "c:/foo/bar"),
        ("file:///c:/foo/bar", FILE, "c:/foo/bar"),
        ("lmdb:///var/cache/site", "cacheplus.backends.lmdb.LMDBCache", "/var/cache/site"),
        ("memcached://127.0.0.1:11211/", PYMEMCACHE, "127.0.0.1:11211"),
        ("memcached://a:11211;b:11211/", PYMEMCACHE, ["a:11211", "b:11211"]),
        ("memcached://a:11211,b:11211", PYMEMCACHE, ["a:11211", "b:11211"]),
        ("memcached://unix:/run/memcached.sock", PYMEMCACHE, "unix:/run/memcached.sock"),
        ("memcached:///run/memcached.sock", PYMEMCACHE, "/run/memcached.sock"),
        ("pylibmc://a:11211;[::1]:11211", PYLIBMC, ["a:11211", "[::1]:11211"]),
        ("redis://localhost", REDIS, "redis://localhost"),
        ("redis://localhost:6379/", REDIS, "redis://localhost:6379"),
        ("redis://localhost:6379/2", REDIS, "redis://localhost:6379/2"),
        ("rediss://[::1]:6380/1", REDIS, "rediss://[::1]:6380/1"),
        ("redis://leader:6379;replica:6380/1", REDIS, ["redis://leader:6379/1", "redis://replica:6380/1"]),
        ("unix:///run/redis.sock", REDIS, "unix:///run/redis.sock"),
        ("path.to_my.backend://", "path.to_my.backend", ""),
        ("Path.To.Backend://there", "Path.To.Backend", "there"),
    ],
)
def test_a_scheme_gives_a_backend_and_a_location(url, backend, location):
    assert cache_url(url) == {"BACKEND": backend, "LOCATION": location}


def test_the_arguments_of_django_1_2():
    assert cache_url("locmem:///?timeout=30&max_entries=400&cull_frequency=2&key_prefix=site&version=3") == {
        "BACKEND": LOCMEM,
        "LOCATION": "",
        "TIMEOUT": 30,
        "KEY_PREFIX": "site",
        "VERSION": 3,
        "OPTIONS": {"MAX_ENTRIES": 400, "CULL_FREQUENCY": 2},
    }


@pytest.mark.parametrize(
    ("query", "entry", "options"),
    [
        ("timeout=none", {"TIMEOUT": None}, {}),
        ("TIMEOUT=None", {"TIMEOUT": None}, {}),
        ("timeout=-1", {"TIMEOUT": -1}, {}),
        ("timeout=10&timeout=20", {"TIMEOUT": 20}, {}),
        ("key_prefix=", {"KEY_PREFIX": ""}, {}),
        ("key_prefix=caf%C3%A9", {"KEY_PREFIX": "café"}, {}),
        ("key_function=site.keys.make", {"KEY_FUNCTION": "site.keys.make"}, {}),
        ("db=3&socket_timeout=0.5&max_connections=9", {}, {"db": 3, "SOCKET_TIMEOUT": 0.5, "max_connections": 9}),
        (
            "serializer=json&signed=false&compressor=zlib",
            {},
            {"SERIALIZER": "json", "SIGNED": False, "COMPRESSOR": "zlib"},
        ),
        ("accept_django=1&on_fault=miss", {}, {"ACCEPT_DJANGO": True, "ON_FAULT": "miss"}),
    ],
)
def test_an_argument_goes_where_the_backend_reads_it(query, entry, options):
    made = cache_url(f"redis://h?{query}")

    assert made.pop("OPTIONS", {}) == options
    assert made == {"BACKEND": REDIS, "LOCATION": "redis://h", **entry}


def test_every_option_that_all_aliases_take_can_be_written_in_a_url():
    samples = {bool: "true", int: "7", float: "0.5", str: "hash"}
    for name, option in TABLE.items():
        text = samples.get(type(option.default), "true" if name == "SIGNED" else "zlib")
        assert name in cache_url(f"locmem://?{name.lower()}={text}")["OPTIONS"]


@pytest.mark.parametrize(
    ("url", "location", "options"),
    [
        (
            "redis://bob:p%40ss%2F@h:6379/1",
            "redis://h:6379/1",
            {"USERNAME": "bob", "PASSWORD": "p@ss/"},
        ),
        ("redis://:pa/ss@h/1", "redis://h/1", {"PASSWORD": "pa/ss"}),
        ("redis://:p@ss:word@h", "redis://h", {"PASSWORD": "p@ss:word"}),
        ("rediss://bob@h", "rediss://h", {"USERNAME": "bob"}),
        ("unix://:secret@/run/redis.sock?db=2", "unix:///run/redis.sock", {"PASSWORD": "secret", "db": 2}),
        ("pylibmc://bob:secret@h:11211", "h:11211", {"username": "bob", "password": "secret", "binary": True}),
    ],
)
def test_credentials_go_to_the_options_and_not_to_the_location(url, location, options):
    made = cache_url(url)

    assert made["LOCATION"] == location
    assert made["OPTIONS"] == options


def test_the_password_is_hidden_by_djangos_debug_page():
    from django.views.debug import SafeExceptionReporterFilter  # noqa: PLC0415 (heavy, and used here alone)

    shown = SafeExceptionReporterFilter().cleanse_setting("CACHES", {"default": cache_url("redis://bob:secret@h")})

    assert "secret" not in repr(shown)


def test_overrides_win_and_options_are_merged():
    made = cache_url(
        "redis://h?timeout=30&db=1&max_connections=5",
        TIMEOUT=60,
        KEY_PREFIX="site",
        OPTIONS={"db": 2, "SERIALIZER": "json"},
    )

    assert made == {
        "BACKEND": REDIS,
        "LOCATION": "redis://h",
        "TIMEOUT": 60,
        "KEY_PREFIX": "site",
        "OPTIONS": {"db": 2, "max_connections": 5, "SERIALIZER": "json"},
    }


def test_an_override_that_is_no_key_of_caches_is_refused():
    with pytest.raises(TypeError, match=r"not MAX_ENTRIES; .* OPTIONS=\{...\}"):
        cache_url("locmem://", MAX_ENTRIES=400)


@pytest.mark.parametrize("scheme", ["redsi", "memcache", "johnny_cache", "backend", "path.to.", "path..to"])
def test_an_unknown_scheme_lists_what_exists(scheme):
    with pytest.raises(CacheURLError) as caught:
        cache_url(f"{scheme}://localhost")

    text = str(caught.value)
    assert repr(scheme) in text
    for known in ("locmem", "memcached", "pylibmc", "db", "file", "dummy", "redis", "rediss", "unix", "lmdb"):
        assert f"{known}://" in text
    assert "path.to.Backend://" in text


def test_an_unknown_scheme_names_the_nearest():
    with pytest.raises(CacheURLError, match="Did you mean redis://"):
        cache_url("redsi://localhost")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "no scheme"),
        ("locmem", "no scheme"),
        ("locmem:", "no scheme"),
        (None, "must be a string"),
        (b"locmem://", "must be a string"),
        ("file://", "three slashes"),
        ("lmdb://?timeout=3", "three slashes"),
        ("db://", "names no table"),
        ("memcached://", "names no server"),
        ("memcached://;,/", "names no server"),
        ("redis://", "names no server"),
        ("redis:///1", "names no server"),
        ("redis://h:port", "no host:port"),
        ("redis://h/one", "no database number"),
        ("unix://run/redis.sock", "three slashes"),
        ("memcached://bob:secret@h", "use pylibmc://"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(url, reason):
    with pytest.raises(CacheURLError, match=reason):
        cache_url(url)


def test_the_error_is_caught_as_bad_configuration_and_as_a_bad_value():
    assert issubclass(CacheURLError, ImproperlyConfigured)
    assert issubclass(CacheURLError, ValueError)


@pytest.mark.parametrize(
    "url",
    [
        "redsi://bob:s3cret@h",
        "bob:s3cret@h",
        "redis://bob:s3cret@h:port",
        "redis://bob:x?s3cret@h/one",
        "redis://bob:s3cret@h/one",
        "memcached://bob:s3cret@h",
        "redsi://h?password=s3cret",
    ],
)
def test_an_error_never_shows_a_password(url):
    with pytest.raises(CacheURLError) as caught:
        cache_url(url)

    chain = [caught.value, caught.value.__cause__]
    assert "s3cret" not in " ".join(map(str, chain))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("timeot=30", "unknown argument 'timeot' (did you mean 'timeout'?)"),
        ("password=s3cret", "unknown argument 'password'"),
        ("timeout=soon", "bad value for 'timeout': 'soon'"),
        ("timeout=", "bad value for 'timeout': ''"),
        ("timeout=0.5", "bad value for 'timeout': '0.5'"),
        ("max_entries=-1", "bad value for 'max_entries': '-1'"),
        ("max_entries=many", "bad value for 'max_entries': 'many'"),
        ("cull_frequency=1.5", "bad value"),
        ("version=two", "bad value"),
        ("signed=perhaps", "bad value"),
        ("serializer=", "bad value"),
        ("socket_timeout=0", "bad value"),
        ("socket_timeout=nan", "bad value"),
        ("jitter=1.5", "bad value"),
        ("jitter=nan", "bad value"),
        ("db=first", "bad value"),
    ],
)
def test_an_argument_that_cannot_be_used_is_left_out_with_a_warning(argument, complaint):
    with pytest.warns(CacheURLWarning) as caught:
        made = cache_url(f"redis://bob:s3cret@h?{argument}&version=2")

    [warning] = caught
    assert complaint in str(warning.message)
    assert "s3cret" not in str(warning.message)
    assert warning.filename == __file__
    assert made == {
        "BACKEND": REDIS,
        "LOCATION": "redis://h",
        "VERSION": 2,
        "OPTIONS": {"USERNAME": "bob", "PASSWORD": "s3cret"},
    }


def test_an_argument_of_another_store_is_unknown():
    with pytest.warns(CacheURLWarning, match="unknown argument 'db'"):
        cache_url("locmem://?db=1")


def test_a_good_url_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache_url("memcached://a:1;b:2/?timeout=60&max_pool_size=4&socket_connect_timeout=1")


@pytest.fixture
def guarded_redis():
    with servers.Redis("--requirepass", "p@ss/w?rd") as server:
        yield server


@pytest.mark.parametrize("query", ["", "?db=2&max_connections=4&socket_timeout=2"])
def test_a_redis_with_a_password_is_reached(guarded_redis, settings, query):
    address = f"127.0.0.1:{guarded_redis.port}"
    settings.CACHES = {
        "default": cache_url(f"redis://:p%40ss%2Fw%3Frd@{address}/1{query}"),
        "stranger": cache_url(f"redis://{address}/1", OPTIONS={"ON_FAULT": "miss"}),
    }

    caches["default"].set("key", "value")

    assert caches["default"].get("key") == "value"
    assert caches["stranger"].get("key") is None


def test_a_redis_is_reached_through_its_socket(redis_server, settings):
    settings.CACHES = {"default": cache_url(f"unix://{redis_server.socket}?db=3&key_prefix=url")}

    caches["default"].set("key", "value", 30)

    assert caches["default"].get("key") == "value"


@pytest.mark.parametrize("scheme", ["memcached", "pylibmc"])
def test_a_memcached_is_reached(memcached_server, settings, scheme):
    settings.CACHES = {"default": cache_url(f"{scheme}://127.0.0.1:{memcached_server.port}/?key_prefix=url&timeout=30")}

    caches["default"].set("key", "value")

    assert caches["default"].get("key") == "value"
