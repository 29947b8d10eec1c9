import pickle
import secrets
import threading
import time
from fractions import Fraction
from functools import partial

import pytest
import redis as driver
from django.core.cache.backends.redis import RedisCache as DjangoRedisCache
from django_redis.cache import RedisCache as DjangoRedisApp

from cacheplus.backends.redis import RedisCache, RedisCacheClient
from cacheplus.signals import cache_error
from cacheplus.store import SERVICE_MARK


class CountingConnection(driver.Connection):
    """Counts how often something is sent, once it is connected."""

    trips = 0

    def send_packed_command(self, command, check_health=True):
        if self.is_connected:
            CountingConnection.trips += 1
        super().send_packed_command(command, check_health)


class JSONLike:
    """A serializer as Django's option names one."""

    def dumps(self, value):
        return str(value).encode()

    def loads(self, data):
        return {"read": data.decode()}


@pytest.fixture
def build(redis_server):
    """Makes backends on the shared server, all with one prefix that is new."""
    prefix = secrets.token_hex(4)

    def build(location=None, **options):
        params = {"KEY_PREFIX": options.pop("prefix", prefix), "OPTIONS": options}
        return RedisCache(location or redis_server.url, params)

    return build


@pytest.fixture
def cache(build):
    return build()


@pytest.fixture
def server(redis_server):
    with driver.Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def faults():
    seen = []

    def listen(error, **_):
        seen.append(error)

    cache_error.connect(listen)
    yield seen
    cache_error.disconnect(listen)


def name_of(cache, key):
    return cache.make_and_validate_key(key)


# Round trips


@pytest.mark.parametrize(
    ("trips", "call"),
    [
        (1, lambda cache: cache.get("a")),
        (1, lambda cache: cache.get("absent")),
        (1, lambda cache: cache.get_many([*"abcdefgh"])),
        (1, lambda cache: cache.has_key("a")),
        (1, lambda cache: cache.set("a", "x" * 50_000, 60)),
        (1, lambda cache: cache.set("a", 1, None)),
        (1, lambda cache: cache.set_many(dict.fromkeys("abcdefgh", 1), 60)),
        (1, lambda cache: cache.add("new", 1)),
        (1, lambda cache: cache.delete("a")),
        (1, lambda cache: cache.delete_many([*"abcdefgh"])),
        (1, lambda cache: cache.incr("number")),
        (2, lambda cache: cache.touch("a", 60)),
        (2, lambda cache: cache.touch("a", None)),
        (2, lambda cache: cache.ttl("a")),
    ],
)
def test_a_call_takes_as_few_round_trips_as_it_can(build, trips, call):
    cache = build(connection_class=CountingConnection)
    cache.set_many({"a": "x", "number": 1})
    cache.incr("number")  # from now on the server knows the script
    before = CountingConnection.trips
    call(cache)
    # A large value is sent in several pieces, which is still one way there and one back.
    assert CountingConnection.trips - before == trips


def test_a_script_is_sent_again_to_a_server_that_forgot_it(cache, server):
    cache.set("number", 1)
    assert cache.incr("number") == 2
    server.script_flush()
    assert cache.incr("number") == 3


def test_nothing_to_do_is_no_error(cache, faults):
    assert cache._read([]) == {}
    assert cache._write({}, 10) == []
    assert cache._add_many({}, 10) == set()
    assert cache._remove([]) == 0
    assert not faults


# Lifetimes


@pytest.mark.parametrize("store", ["set", "add", "set_many"])
def test_a_fraction_of_a_second_is_kept(cache, server, store):
    calls = {
        "set": lambda: cache.set("key", 1, 0.4),
        "add": lambda: cache.add("key", 1, 0.4),
        "set_many": lambda: cache.set_many({"key": 1}, 0.4),
    }
    calls[store]()
    assert cache.get("key") == 1
    assert 300 < server.pttl(name_of(cache, "key")) <= 400
    time.sleep(0.45)
    assert cache.get("key") is None


def test_milliseconds_are_rounded_up(cache, server):
    cache._write({"name": b"value"}, 20.0001)
    assert server.execute_command("PEXPIRETIME", "name") - time.time() * 1000 > 20_000 - 50
    cache._write({"name": b"value"}, 1e-9)
    assert server.pttl("name") in {1, 0, -2}
    assert cache._ttl("name") >= 0


def test_what_no_server_can_count_to_is_for_ever(cache, server):
    cache.set("key", 1, 1e300)
    assert cache.ttl("key") is None
    assert cache.touch("key", 10**30) is True
    assert server.pttl(name_of(cache, "key")) == -1


def test_touch_for_ever_can_be_repeated(cache):
    cache.set("key", "value", 10)
    assert cache.touch("key", None) is True
    assert cache.touch("key", None) is True
    assert cache.ttl("key") is None
    assert cache.touch("absent", None) is False


def test_get_backend_timeout_keeps_fractions(cache):
    assert cache.get_backend_timeout(0.5) == 0.5
    assert cache.get_backend_timeout(-5) == 0
    assert cache.get_backend_timeout(None) is None


# Counters


def test_incr_keeps_the_ttl(cache, server):
    cache.set("number", 1, 50)
    cache.incr("number")
    assert 49_000 < server.pttl(name_of(cache, "number")) <= 50_000


@pytest.mark.parametrize("start", [2**53, 2**53 + 1, 2**63 - 2, -(2**63) + 1, 0])
@pytest.mark.parametrize("delta", [1, -1, 2**62 + 1])
def test_incr_is_exact_where_a_double_is_not(cache, start, delta):
    cache.set("number", start, 60)
    assert cache.incr("number", delta) == start + delta
    assert cache.get("number") == start + delta
    assert cache.ttl("number") > 50


def test_incr_goes_on_beyond_what_the_server_can_count(cache):
    cache.set("number", 2**63 - 1, 60)
    assert cache.incr("number") == 2**63
    assert cache.incr("number", 2**70) == 2**63 + 2**70
    assert 50 < cache.ttl("number") <= 60


def test_incr_of_a_text_is_the_drivers_error_and_no_fault(build, faults):
    for on_fault in ("raise", "miss"):
        cache = build(ON_FAULT=on_fault)
        cache.set("text", "value")
        with pytest.raises(driver.ResponseError, match="not an integer"):
            cache.incr("text")
        assert cache.get("text") == "value"
    assert not faults


def test_incr_across_the_expiry_leaves_no_key_without_one(cache, server):
    def count():
        while not done.is_set():
            try:
                cache._increment("number", 1)
            except driver.ResponseError as error:  # pragma: no cover
                wrong.append(error)

    done, wrong = threading.Event(), []
    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        cache._write({"number": 1}, 0.002)
        time.sleep(0.0025)
        if server.pttl("number") == -1:
            wrong.append("for ever")
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    server.delete("number")


# Names


@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
def test_every_name_is_kept_apart(cache):
    keys = ["\ud800", "\ud801", "?", "a\0b", "a\0c", "a\r\nb", "k" * 10_000, "k" * 9_999, "é", "e\u0301", " ", ""]
    cache.set_many({key: f"value of {key!r}" for key in keys})
    assert cache.get_many(keys) == {key: f"value of {key!r}" for key in keys}
    for key in keys:
        assert cache.delete(key) is True
        assert cache.get(key) is None


@pytest.mark.parametrize("kind", ["list", "hash"])
def test_what_somebody_else_keeps_under_a_name_is_absent(cache, server, kind, faults):
    name = name_of(cache, "key")
    {"list": lambda: server.rpush(name, "a", "b"), "hash": lambda: server.hset(name, "a", "b")}[kind]()
    assert cache.get("key") is None
    assert cache.has_key("key") is False
    assert cache.touch("key", 10) is False
    with pytest.raises(ValueError, match="not found"):
        cache.incr("key")
    assert cache._swap(name, b"expected", b"stored", 10) is False
    cache.set("key", "ours")
    assert cache.get("key") == "ours"
    assert not faults


@pytest.mark.parametrize("prefix", ["a*", "a[bc]", "a?", "a\\", "[^x]", "a{b}", ""])
def test_clear_takes_the_prefix_literally(build, prefix):
    scope = secrets.token_hex(4)
    mine = build(prefix=scope + prefix)
    others = ("ab", "abc", "ax", "a", "a*b", "b", "a[bc]d")
    neighbours = [build(prefix=scope + other) for other in others]
    for cache in (mine, *neighbours):
        cache.set_many({str(number): number for number in range(20)})
        cache.set("key", 1, version=7)
    mine.clear()
    assert mine.get_many(map(str, range(20))) == {}
    assert mine.get("key", version=7) is None
    for cache in neighbours:
        assert len(cache.get_many(map(str, range(20)))) == 20


def test_clear_reaches_every_page_of_a_scan(cache, server):
    cache.set_many({str(number): number for number in range(3500)})
    cache.set("tagged", 1, tags=["tag"])
    cache.clear()
    assert list(server.scan_iter(f"{cache.key_prefix}:*")) == []


def test_clear_everything_is_one_database(redis_server, build):
    mine, other = build(f"redis://{redis_server.address}/11"), build(f"redis://{redis_server.address}/12")
    mine.set("key", 1)
    other.set("key", 1)
    RedisCache(f"redis://{redis_server.address}/11", {"KEY_PREFIX": "neighbour"}).set("key", 1)
    mine.clear(everything=True)
    with driver.Redis.from_url(f"redis://{redis_server.address}/11") as server:
        assert server.dbsize() == 0
    assert other.get("key") == 1
    other.clear()


# What Django and django-redis wrote

WRITTEN = {
    "text": "text",
    "number": 42,
    "large": 2**80,
    "negative": -(2**80),
    "bool": True,
    "dict": {"a": [1, 2, (3,)]},
    "none": None,
}


@pytest.mark.parametrize("writer", [DjangoRedisCache, DjangoRedisApp])
def test_values_of_the_former_backend_are_read_where_that_is_accepted(redis_server, build, writer):
    reader = build(ACCEPT_DJANGO=True)
    writer(redis_server.url, {"KEY_PREFIX": reader.key_prefix}).set_many(WRITTEN)
    assert reader.get_many(WRITTEN) == WRITTEN
    assert reader.get("bool") is True
    assert reader.incr("number") == 43


def test_values_of_the_former_backend_are_a_miss_otherwise(redis_server, cache):
    DjangoRedisCache(redis_server.url, {"KEY_PREFIX": cache.key_prefix}).set_many(WRITTEN)
    assert cache.get_many(WRITTEN) == {"number": 42}


def test_compressed_values_of_django_redis_are_a_miss(redis_server, build):
    cache = build(ACCEPT_DJANGO=True)
    options = {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}
    DjangoRedisApp(redis_server.url, {"KEY_PREFIX": cache.key_prefix, "OPTIONS": options}).set("key", "value" * 100)
    assert cache.get("key") is None


def test_a_pickle_of_somebody_else_is_not_loaded(cache, server):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a foreign pickle was loaded",))

    server.set(name_of(cache, "key"), pickle.dumps(Trap()))
    assert cache.get("key") is None
    assert server.exists(name_of(cache, "key")) == 0


# Options


@pytest.mark.parametrize("serializer", [f"{__name__}.JSONLike", JSONLike, JSONLike()])
def test_the_serializer_option_of_django_is_honoured(build, serializer):
    cache = build(serializer=serializer)
    cache.set("key", Fraction(1, 2))
    assert cache.get("key") == {"read": "1/2"}


def test_our_own_spelling_of_the_serializer_wins(build):
    cache = build(serializer=JSONLike, SERIALIZER="json")
    assert cache.options.serializer == "json"


def test_the_clients_serializer_is_the_codec_of_the_alias(cache):
    serializer = cache._cache._serializer
    assert serializer.dumps(5) == 5
    for value in (5, "text", {"a": 1}):
        assert serializer.loads(serializer.dumps(value)) == value
    assert serializer.loads(b"5") == 5


def keywords(cache):
    return cache._cache._get_connection_pool(write=True).connection_kwargs


def test_timeouts_are_short_unless_the_site_says_otherwise(build):
    assert (keywords(build())["socket_connect_timeout"], keywords(build())["socket_timeout"]) == (0.25, 0.5)
    capitals = keywords(build(SOCKET_TIMEOUT=3, SOCKET_CONNECT_TIMEOUT=2))
    assert (capitals["socket_connect_timeout"], capitals["socket_timeout"]) == (2, 3)
    # The driver's own spelling wins, and what cannot be used counts as missing.
    mixed = keywords(build(socket_timeout=4, SOCKET_TIMEOUT=3, SOCKET_CONNECT_TIMEOUT="soon"))
    assert (mixed["socket_connect_timeout"], mixed["socket_timeout"]) == (0.25, 4)


def test_pool_and_parser_can_be_chosen_by_path_or_class(build):
    by_path = build(pool_class="redis.BlockingConnectionPool", parser_class="redis._parsers._RESP3Parser", timeout=1)
    pool = by_path._cache._get_connection_pool(write=True)
    assert type(pool) is driver.BlockingConnectionPool
    assert pool.max_connections == 50
    assert keywords(by_path)["parser_class"].__name__ == "_RESP3Parser"
    by_path.set("key", {"a": 1})
    assert by_path.get("key") == {"a": 1}
    by_class = build(pool_class=driver.BlockingConnectionPool, max_connections=3)
    assert by_class._cache._get_connection_pool(write=True).max_connections == 3


def test_the_spelling_of_django_redis_works(build):
    cache = build(
        CONNECTION_POOL_CLASS="redis.BlockingConnectionPool",
        CONNECTION_POOL_KWARGS={"max_connections": 4},
        PARSER_CLASS="redis._parsers._RESP3Parser",
    )
    pool = cache._cache._get_connection_pool(write=True)
    assert (type(pool), pool.max_connections) == (driver.BlockingConnectionPool, 4)
    cache.set("key", 1)
    assert cache.get("key") == 1


def test_decoded_responses_do_no_harm(build):
    cache = build(decode_responses=True)
    cache.set_many({"number": 1, "text": "é", "bytes": b"\xff"})
    assert cache.get_many(["number", "text", "bytes"]) == {"number": 1, "text": "é", "bytes": b"\xff"}
    assert cache.incr("number") == 2
    cache.clear()
    assert cache.get("text") is None


def test_the_older_protocol_works(build):
    cache = build(protocol=2)
    cache.set("number", 1, 60)
    assert cache.incr("number") == 2
    assert cache.get("absent") is None
    assert cache.add("number", 1) is False
    assert cache._swap(name_of(cache, "number"), 2, 5, None) is True
    assert cache.ttl("number") is None


def test_a_site_may_choose_servers_by_key(redis_server):
    class Sharded(RedisCacheClient):
        def get_client(self, key=None, *, write=False):
            asked.append((key, write))
            return super().get_client(key, write=write)

    asked = []
    cache = RedisCache(redis_server.url, {"KEY_PREFIX": secrets.token_hex(4)})
    cache._class = Sharded
    cache.set("key", 1)
    cache.get("key")
    cache.get_many(["key", "other"])
    name = name_of(cache, "key")
    assert asked == [(name, True), (name, False), (None, False)]


# Swap, which locks and stamps rest on


def test_swap_replaces_and_deletes_only_what_is_expected(cache, server):
    swap = partial(cache._swap, "swapped")
    assert swap(b"absent", b"new", 10) is False
    cache._write({"swapped": 7}, 100)
    assert swap(8, 9, 10) is False
    assert swap(7, b"\x00new", 10) is True
    assert 9 < cache._ttl("swapped") <= 10
    assert swap(b"\x00new", b"for ever", None) is True
    assert cache._ttl("swapped") is None
    assert swap(b"other", None, None) is False
    assert swap(b"for ever", None, None) is True
    assert server.exists("swapped") == 0


def test_stamps_and_locks_are_marked_as_service_names(cache, server):
    cache.set("key", 1, tags=["tag"])
    names = [name.decode() for name in server.scan_iter(f"{cache.key_prefix}:*")]
    assert sum(SERVICE_MARK in name for name in names) == len(names) - 1 > 0
