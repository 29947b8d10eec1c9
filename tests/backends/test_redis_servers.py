"""Which servers the Redis backend speaks to, through which connections, and what the checks say of both."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis as driver
from django.core.cache import caches
from django.core.cache.backends.base import InvalidCacheBackendError

from cacheplus.backends import redis_connections
from cacheplus.backends.redis import RedisCache
from cacheplus.exceptions import LockNotAcquired
from cacheplus.signals import cache_error
from tests.servers import Redis, free_port

ROOT = Path(__file__).parents[2]


def build(location, **options):
    return RedisCache(location, {"KEY_PREFIX": options.pop("prefix", "test"), "OPTIONS": options})


def until(condition, seconds=10):
    """Wait for what another process does in its own time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def commands(server, *names):
    """How often a server was given these commands."""
    with driver.Redis.from_url(server.url) as client:
        stats = client.info("commandstats")
    return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names}


@pytest.fixture(scope="module")
def pair():
    """Two servers that know nothing of one another: a replica that has received nothing yet."""
    with Redis("--repl-diskless-sync-delay", "0") as leader, Redis() as lagging:
        yield leader, lagging


@pytest.fixture
def leader(pair):
    with driver.Redis.from_url(pair[0].url) as client:
        client.flushall()
        client.config_resetstat()
    return pair[0]


@pytest.fixture
def lagging(pair):
    with driver.Redis.from_url(pair[1].url) as client:
        client.flushall()
        client.config_resetstat()
    return pair[1]


@pytest.fixture
def faults():
    seen = []

    def listen(operation, error, **_):
        seen.append((operation, type(error).__name__))

    cache_error.connect(listen)
    yield seen
    cache_error.disconnect(listen)


# A leader and its replicas


@pytest.mark.parametrize("join", [list, tuple, ",".join, ";".join, " , ".join])
def test_several_servers_can_be_written_in_several_ways(join):
    urls = ["redis://a:1/0", "redis://b:2/0", "unix:///c"]
    assert build(join(urls))._servers == urls


def test_writes_go_to_the_leader_and_records_are_read_from_the_replica(leader, lagging):
    cache = build([leader.url, lagging.url])
    cache.set("key", 1)
    cache.set_many({"a": 1, "b": 2})
    cache.incr("key")
    cache.add("c", 1)
    cache.delete("a")
    assert cache.get("key") is None
    assert cache.get_many(["a", "b"]) == {}
    assert build(leader.url).get_many(["key", "a", "b", "c"]) == {"key": 2, "b": 2, "c": 1}
    assert commands(lagging, "mget", "set", "unlink", "evalsha") == {"mget": 2, "set": 0, "unlink": 0, "evalsha": 0}


def test_stamps_are_read_from_the_leader_so_that_no_replica_revives_what_expired(leader, lagging):
    cache, replica = build([leader.url, lagging.url]), build(lagging.url)
    cache.set("key", "old", tags=["tag"])
    name = cache.make_key("key")
    replica._write(build(leader.url)._read([name]), 100)
    assert cache.get("key") == "old"
    assert cache.expire_tags("tag") == 1
    assert cache.get("key") is None
    assert replica._read([name])


def test_locks_are_taken_on_the_leader(leader, lagging):
    cache, alone = build([leader.url, lagging.url]), build(leader.url)
    with cache.lock("work"), pytest.raises(LockNotAcquired), alone.lock("work", wait=0):
        pass
    with alone.lock("work", wait=0):
        pass
    assert commands(lagging, "set", "evalsha") == {"set": 0, "evalsha": 0}


def test_every_replica_is_read_and_never_the_leader(leader):
    with Redis() as one, Redis() as two:
        cache = build([leader.url, one.url, two.url])
        for _ in range(60):
            cache.get("key")
        reads = [commands(server, "mget")["mget"] for server in (leader, one, two)]
    assert reads[0] == 0
    assert min(reads[1:]) > 5
    assert sum(reads) == 60


def test_a_replica_that_fails_is_told_of_and_the_leader_answers(leader, faults):
    cache = build([leader.url, f"redis://127.0.0.1:{free_port()}"])
    cache.set("key", "value", tags=["tag"])
    assert cache.get("key") == "value"
    assert cache.get_many(["key", "absent"]) == {"key": "value"}
    assert faults == [("read", "ConnectionError")] * 2


def test_a_replica_that_hangs_is_waited_for_once_and_asked_again_when_it_answers(leader, faults):
    with Redis("--replicaof", "127.0.0.1", str(leader.port)) as replica:
        with driver.Redis.from_url(replica.url) as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        cache = build([leader.url, replica.url])
        cache.set("key", "value")
        replica.pause()
        assert [cache.get("key") for _ in range(20)] == ["value"] * 20
        assert [operation for operation, _ in faults] == ["read"]
        cache.set("key", "other")
        assert cache.get("key") == "other"
        replica.resume()
        until(lambda: not cache.health.is_ailing)
        before = commands(replica, "mget")["mget"]
        cache.get("key")
        assert commands(replica, "mget")["mget"] > before


def test_a_replica_that_replicates(leader):
    with Redis("--replicaof", "127.0.0.1", str(leader.port)) as replica:
        with driver.Redis.from_url(replica.url) as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        cache = build([leader.url, replica.url])
        cache.set("key", "value", tags=["tag"])
        until(lambda: cache.get("key") == "value")
        cache.expire_tags("tag")
        assert cache.get("key") is None


# Sentinel


def sentinel_of(leader):
    """A sentinel that watches `leader`."""

    class Sentinel(Redis):
        name = "sentinel"

        def prepare(self):
            watched = f"sentinel monitor leader 127.0.0.1 {leader.port} 1\n"
            (self.directory / "sentinel.conf").write_text(watched)

        def command(self):
            listen = ["--bind", self.host, "--port", str(self.port)]
            return [self.executable, str(self.directory / "sentinel.conf"), "--sentinel", *listen]

    return Sentinel()


@pytest.fixture(scope="module")
def sentinel(pair):
    with sentinel_of(pair[0]) as server:
        yield server


def test_sentinel_names_the_leader(leader, sentinel):
    cache = build("redis://leader/3", SENTINELS=[("127.0.0.1", sentinel.port)])
    cache.set_many({"key": "value", "number": 1})
    assert cache.incr("number") == 2
    assert cache.get("key") == "value"
    with driver.Redis.from_url(leader.url, db=3) as client:
        assert client.dbsize() == 2


def test_sentinel_names_the_replicas(leader):
    location = ["redis://leader/3", "redis://leader/3?is_master=0"]
    with Redis("--replicaof", "127.0.0.1", str(leader.port)) as replica:
        with driver.Redis.from_url(replica.url) as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        with sentinel_of(leader) as sentinel:
            with driver.Redis.from_url(f"redis://127.0.0.1:{sentinel.port}") as client:
                until(lambda: client.sentinel_slaves("leader"), 30)
            cache = build(location, SENTINELS=[("127.0.0.1", sentinel.port)])
            cache.set("key", "value", tags=["tag"])
            until(lambda: cache.get("key") == "value")
            assert commands(replica, "mget")["mget"] > 0
            assert cache.expire_tags("tag") == 1
            assert cache.get("key") is None


def test_sentinel_without_replicas_leads_to_the_leader(leader, sentinel):
    location = ["redis://leader/3", "redis://leader/3?is_master=0"]
    cache = build(location, SENTINELS=[("127.0.0.1", sentinel.port)])
    cache.set("key", "value")
    assert cache.get("key") == "value"


def test_the_factory_of_django_redis_works_with_its_own_setting(leader, sentinel, settings):
    settings.DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory"
    cache = build("redis://leader/4", SENTINELS=[("127.0.0.1", sentinel.port)], SENTINEL_KWARGS={"socket_timeout": 1})
    cache.set("key", "value")
    assert cache.get("key") == "value"


def test_an_answer_that_comes_late_behind_sentinel_is_nobodys(leader, sentinel):
    cache = build("redis://leader/3", SENTINELS=[("127.0.0.1", sentinel.port)], SOCKET_TIMEOUT=0.1)
    cache.set_many({"a": "value of a", "b": "value of b"})
    for _ in range(5):
        leader.pause()
        with pytest.raises(driver.TimeoutError):
            cache.get("a")
        leader.resume()
        assert cache.get("b") == "value of b"


def test_sentinels_that_are_gone_cost_less_than_a_second():
    cache = build("redis://leader/0", SENTINELS=[("127.0.0.1", free_port()), ("127.0.0.1", free_port())])
    start = time.monotonic()
    with pytest.raises(driver.ConnectionError):
        cache.get("key")
    assert time.monotonic() - start < 0.9


# Addresses and credentials


def test_a_unix_socket(redis_server):
    cache = build(f"unix://{redis_server.socket}", db=9, prefix=secrets.token_hex(4))
    cache.set("key", "value")
    assert cache.get("key") == "value"
    other = build(redis_server.url.removesuffix("/0"), db=9, prefix=cache.key_prefix)
    assert other.get("key") == "value"
    assert build(redis_server.url, prefix=cache.key_prefix).get("key") is None


@pytest.fixture(scope="module")
def guarded():
    user = ["--user", "app", "on", ">se;cr/t@x", "~*", "+@all"]
    with Redis("--requirepass", "pa,ss@word", *user) as server:
        yield server


@pytest.mark.parametrize(
    "options",
    [
        {"PASSWORD": "pa,ss@word"},
        {"password": "pa,ss@word"},
        {"USERNAME": "app", "PASSWORD": "se;cr/t@x"},
        {"username": "app", "password": "se;cr/t@x"},
    ],
)
def test_credentials_stand_in_options(guarded, options):
    cache = build(guarded.url, **options)
    cache.set("key", "value")
    assert cache.get("key") == "value"


def test_credentials_in_the_location_work_too(guarded):
    cache = build(guarded.url.replace("://", "://app:se%3Bcr%2Ft%40x@"))
    cache.set("key", "value")
    assert cache.get("key") == "value"


def test_the_user_in_the_documentation_has_the_rights_it_needs(guarded):
    text = (ROOT / "docs" / "reference" / "backends" / "redis.md").read_text(encoding="utf-8")
    rule = next(line for line in text.splitlines() if line.startswith("ACL SETUSER site"))
    with driver.Redis.from_url(guarded.url, password="pa,ss@word") as client:
        client.execute_command(*rule.split())
    cache = build(guarded.url, USERNAME="site", PASSWORD="password", prefix="prefix", db=1)
    cache.set_many({"a": 1, "b": "text"}, 100, tags=["tag"])
    assert cache.add("number", 1)
    assert cache.incr("number") == 2
    assert cache.touch("number", 50)
    assert cache.touch("number", None)
    assert cache.ttl("number") is None
    with cache.lock("work"):
        assert cache.get_many("ab") == {"a": 1, "b": "text"}
    assert cache.incr("a") == 2
    assert cache.expire_tags("tag") == 1
    assert cache.delete("number")
    cache.clear()
    with pytest.raises(driver.exceptions.NoPermissionError):
        build(guarded.url, USERNAME="site", PASSWORD="password", prefix="other").get("key")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The paths of a key and of a certificate for 127.0.0.1 that vouches for itself."""
    openssl = shutil.which("openssl") or pytest.skip("openssl is not installed")
    key, certificate = (tmp_path_factory.mktemp("tls") / name for name in ("key.pem", "certificate.pem"))
    request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    paths = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, *request, *names, *paths], check=True, capture_output=True)
    return key, certificate


def test_tls(certificate):
    key, public = map(str, certificate)
    port = free_port()
    files = ["--tls-key-file", key, "--tls-cert-file", public, "--tls-ca-cert-file", public]
    with Redis("--tls-port", str(port), *files, "--tls-auth-clients", "no"):
        cache = build(f"rediss://127.0.0.1:{port}/0", ssl_ca_certs=public)
        cache.set("key", "value")
        assert cache.get("key") == "value"
        with pytest.raises(driver.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            build(f"rediss://127.0.0.1:{port}/0").get("key")


@pytest.mark.parametrize("options", [{}, {"PASSWORD": "wrong"}])
def test_a_refused_password_is_a_fault_that_does_not_show_it(guarded, options, faults, caplog):
    with pytest.raises(driver.RedisError) as caught:
        build(guarded.url, **options).get("key")
    assert "wrong" not in str(caught.value)
    assert build(guarded.url, ON_FAULT="miss", **options).get("key") is None
    assert [operation for operation, _ in faults] == ["read", "read"]
    assert "wrong" not in caplog.text


# Connections


def connections_of(server, name):
    with driver.Redis.from_url(server.url) as client:
        return [entry for entry in client.client_list() if entry["name"] == name]


def test_threads_one_after_another_share_a_connection(redis_server):
    name = secrets.token_hex(4)

    def work():
        # Django makes a backend for each thread and each request of an ASGI server.
        build(redis_server.url, client_name=name).get("key")

    for _ in range(20):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(connections_of(redis_server, name)) == 1


def test_threads_at_once_take_no_more_connections_than_they_are(redis_server):
    name, answers, barrier = secrets.token_hex(4), [], threading.Barrier(8)
    build(redis_server.url, prefix=name).set("key", "value")

    def work():
        cache = build(redis_server.url, client_name=name, prefix=name)
        barrier.wait()
        answers.extend(cache.get("key") for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["value"] * 400
    assert 1 <= len(connections_of(redis_server, name)) <= 8


def test_more_threads_than_a_pool_of_the_driver_has_room_for():
    with Redis() as server:
        build(server.url).set("key", "value")
        answers, barrier = [], threading.Barrier(121)

        def work():
            cache = build(server.url, SOCKET_TIMEOUT=20, SOCKET_CONNECT_TIMEOUT=5)
            barrier.wait()
            answers.append(cache.get("key"))

        threads = [threading.Thread(target=work) for _ in range(120)]
        for thread in threads:
            thread.start()
        server.pause()
        barrier.wait()
        time.sleep(0.5)
        server.resume()
        for thread in threads:
            thread.join()
    assert answers == ["value"] * 120


def test_a_limit_of_the_site_is_one_for_the_process(redis_server):
    pools = {build(redis_server.url, max_connections=7)._cache._get_connection_pool(write=True) for _ in range(3)}
    assert [pool.max_connections for pool in pools] == [7]


def test_other_options_are_other_connections(redis_server):
    """django-redis would hand the second alias the connections of the first, which is another database."""
    one, two = (build(f"redis://{redis_server.address}", db=db) for db in (7, 8))
    one.set("key", "of one")
    two.set("key", "of two")
    assert (one.get("key"), two.get("key")) == ("of one", "of two")


class Credentials(driver.CredentialProvider):
    """All are equal, and look alike, though their passwords differ."""

    def __init__(self, user, password):
        self.user, self.password = user, password

    def get_credentials(self):
        return self.user, self.password

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 1

    def __repr__(self):
        return "Credentials()"


def test_objects_that_only_look_alike_share_no_connections(guarded):
    right = build(guarded.url, credential_provider=Credentials("app", "se;cr/t@x"))
    wrong = build(guarded.url, credential_provider=Credentials("app", "guessed"))
    right.set("key", "secret")
    with pytest.raises(driver.RedisError):
        wrong.get("key")
    assert right.get("key") == "secret"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": [1, {"c": 2}]}, {"b": [1, {"c": 2}], "a": 1}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": b"1"}, {"a": "1"}, False),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, False),
        ({"a": object}, {"a": object}, True),
        ({"a": object()}, {"a": object()}, False),
        ({}, {"a": None}, False),
    ],
)
def test_identity(one, other, same):
    assert (redis_connections.identity(one) == redis_connections.identity(other)) is same


# Fork

FORK = """
import json, os, sys, threading
import django
from django.conf import settings
settings.configure(SECRET_KEY="x")
from cacheplus.backends.redis import RedisCache

cache = RedisCache(sys.argv[1], {"KEY_PREFIX": sys.argv[2]})
cache.set_many({f"{who}.{n}": f"value {who}.{n}" for who in range(5) for n in range(50)})
cache.set("count", 0)
parent = cache._cache.get_client().client_id()

def work(who):
    wrong = sum(cache.get(f"{who}.{n % 50}") != f"value {who}.{n % 50}" for n in range(240))
    for _ in range(100):
        cache.incr("count")
    return wrong, cache._cache.get_client().client_id() == parent

# Another thread is in the middle of lending a connection when the process forks.
held, release = threading.Event(), threading.Event()
def hold():
    with cache._cache.get_client().connection_pool._lock:
        held.set()
        release.wait()
holder = threading.Thread(target=hold)
holder.start()
held.wait()
children = []
for who in range(4):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, json.dumps(work(who)).encode())
        os._exit(0)
    os.close(writer)
    children.append((pid, reader))
release.set()
holder.join()
results = [work(4)]
for pid, reader in children:
    results.append(json.loads(os.read(reader, 1000) or "null"))
    os.waitpid(pid, 0)
print(json.dumps({"results": results, "count": cache.get("count")}))
"""


def run_python(code, *args):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_four_forked_children_never_take_a_reply_of_one_another(redis_server):
    outcome = json.loads(run_python(FORK, redis_server.url, secrets.token_hex(4)))
    assert outcome == {"results": [[0, True]] + [[0, False]] * 4, "count": 500}


# Checks and errors


def messages(location, **options):
    return [(message.id, message.msg, message.hint or "") for message in build(location, **options).check()]


@pytest.mark.parametrize(
    ("location", "options"),
    [
        ("redis://nobody.invalid:1/0", {}),
        (["rediss://nobody.invalid:1/0", "redis://[::1]:2"], {"PASSWORD": "x", "username": "y", "db": 3}),
        ("unix:///nowhere?db=2", {"SOCKET_TIMEOUT": 1, "health_check_interval": 30}),
        ("redis://service/0", {"SENTINELS": [("nobody.invalid", 1)], "SENTINEL_KWARGS": {"password": "x"}}),
        ("redis://h", {"pool_class": "redis.BlockingConnectionPool", "parser_class": "redis._parsers._RESP3Parser"}),
    ],
)
def test_the_checks_accept_what_can_be_used_and_connect_to_nothing(location, options):
    start = time.monotonic()
    assert messages(location, **options) == []
    assert time.monotonic() - start < 0.5


@pytest.mark.parametrize(
    "location",
    [
        "redis://:s3cret@host:1/0",
        "redis://user:s3cret@host",
        "unix:///path?password=s3cret",
        "rediss://h:1;redis://:s3cret@i",
    ],
)
def test_the_check_of_a_password_in_the_location_does_not_show_it(location):
    ((number, text, hint),) = messages(location)
    assert number == "cacheplus.W121"
    assert "LOCATION" in text
    assert "OPTIONS['PASSWORD']" in hint
    assert "s3cret" not in text + hint


@pytest.mark.parametrize(
    ("location", "options", "words"),
    [
        ("http://host", {}, ["'http://host'", "redis://host:6379/0"]),
        ("host:6379", {}, ["'host:6379'", "unix:///path"]),
        ("", {}, ["''", "LOCATION"]),
        ([], {}, ["''", "LOCATION"]),
        ("redis://host?socket_timeout=soon", {}, ["'redis://host'"]),
        ("redis://:s3cret/a@host", {}, ["redis://***"]),
        ("redis://host", {"pool_class": "nowhere.Pool"}, ["redis://host", "nowhere"]),
        ("redis://host", {"parser_class": "redis.connection.NoParser"}, ["NoParser"]),
        ("redis://host", {"CONNECTION_FACTORY": "nowhere.Factory"}, ["nowhere"]),
        ("redis://host", {"max_conections": 5}, ["max_conections"]),
        ("redis://host", {"max_connections": "five"}, ["max_connections"]),
    ],
)
def test_what_cannot_be_used_is_named_by_the_check_and_at_run_time(location, options, words):
    ((number, text, _),) = messages(location, **options)
    assert number == "cacheplus.E122"
    with pytest.raises(InvalidCacheBackendError) as caught:
        build(location, **options).get("key")
    for word in words:
        assert word in text
        assert word in str(caught.value)
    assert "s3cret" not in text + str(caught.value)


def test_the_messages_name_the_alias(settings):
    settings.CACHES = {"pages": {"BACKEND": "cacheplus.backends.redis.RedisCache", "LOCATION": "ftp://host"}}
    assert "CACHES['pages']" in caches["pages"].check()[0].msg
    with pytest.raises(InvalidCacheBackendError, match="Cache 'pages'"):
        caches["pages"].get("key")


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ({"CLIENT_CLASS": "django_redis.client.DefaultClient"}, "cacheplus.W102"),
        ({"SOCKET_TIMOUT": 1}, "cacheplus.W102"),
        ({"SOCKET_TIMEOUT": "soon"}, "cacheplus.E101"),
        ({"SENTINELS": "host:1"}, "cacheplus.E101"),
        ({"CONNECTION_POOL_KWARGS": 5}, "cacheplus.E101"),
    ],
)
def test_an_option_that_nothing_reads_or_can_read_is_told_and_left_out(redis_server, options, number):
    assert [found for found, *_ in messages(redis_server.url, **options)] == [number]
    cache = build(redis_server.url, prefix=secrets.token_hex(4), **options)
    cache.set("key", "value")
    assert cache.get("key") == "value"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("redis://user:p@ss@host:1/0", "redis://host"),
        ("redis://:p?ss@host", "redis://***"),
        ("unix:///path/x.sock?password=a@b", "unix:///path/x.sock"),
        ("nonsense?password=x", "***"),
    ],
)
def test_an_address_is_shown_without_credentials(url, shown):
    assert redis_connections.shown(url) == shown


MISSING = """
import sys

class Absent:
    def find_spec(name, *_):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent)
from django.conf import settings
settings.configure(SECRET_KEY="x")
from cacheplus.backends.redis import RedisCache
from cacheplus.exceptions import MissingExtra
try:
    RedisCache("redis://host", {})
except MissingExtra as error:
    print(error)
"""


@pytest.mark.parametrize("module", ["redis", "django_redis"])
def test_a_missing_library_is_named_with_its_extra_when_a_backend_is_built(module):
    printed = run_python(MISSING, module)
    assert f"{module!r} is not installed" in printed
    assert "pip install cacheplus[redis]" in printed
