"""Bad input: each is told what is wrong and the way out, and costs nothing that was stored."""

import os
import pickle
import socket
import subprocess
import sys
import time

import pytest
from django.core.cache import CacheKeyWarning, InvalidCacheBackendError, InvalidCacheKey, cache, caches
from django.core.checks import run_checks
from django.http import HttpResponse
from django.template import Context, Engine, TemplateSyntaxError
from django.test import RequestFactory, override_settings

from cacheplus.backends.db import DatabaseCache
from cacheplus.backends.filebased import FileBasedCache
from cacheplus.backends.locmem import LocMemCache
from cacheplus.backends.memcached import PyMemcacheCache
from cacheplus.backends.redis import RedisCache
from cacheplus.decorators import cache_page
from cacheplus.exceptions import LockNotAcquired, MissingExtra
from cacheplus.invalidation import expire_tags, expire_view_cache

LOCMEM = "cacheplus.backends.locmem.LocMemCache"


def messages_of(**alias):
    with override_settings(CACHES={"default": {"BACKEND": LOCMEM, "LOCATION": "bad input", **alias}}):
        return {message.id: f"{message.msg} {message.hint}" for message in run_checks(tags=["cacheplus"])}


def test_an_unknown_alias():
    with pytest.raises(InvalidCacheBackendError, match="The connection 'nowhere' doesn't exist"):
        caches["nowhere"]


def test_a_backend_path_that_leads_nowhere():
    told = messages_of(BACKEND="cacheplus.backends.locmem.LocMemCashe")
    assert any("'default'" in text and "LocMemCashe" in text for text in told.values())


def test_an_unknown_option_names_the_nearest_one():
    assert "Did you mean 'SERIALIZER'?" in messages_of(OPTIONS={"SERIALISER": "json"})["cacheplus.W102"]


def test_a_bad_value_of_an_option_names_alias_option_and_value_and_the_site_starts():
    told = messages_of(OPTIONS={"ON_FAULT": "shrug"})["cacheplus.E101"]
    assert all(word in told for word in ("'default'", "'ON_FAULT'", "'shrug'", "'raise' or 'miss'"))
    assert LocMemCache("bad option", {"OPTIONS": {"ON_FAULT": "shrug"}}).options.on_fault == "raise"


@pytest.mark.parametrize(("module", "extra"), [("redis", "redis"), ("pymemcache", "memcached"), ("lmdb", "lmdb")])
def test_a_missing_extra_says_what_to_install(module, extra):
    code = f"""
import sys
sys.modules[{module!r}] = None
from cacheplus.url import cache_url
from django.conf import settings
urls = {{"redis": "redis://127.0.0.1:1", "memcached": "memcached://127.0.0.1:1", "lmdb": "lmdb:///nowhere"}}
settings.configure(SECRET_KEY="x", CACHES={{"default": cache_url(urls[{extra!r}])}})
from django.core.cache import caches
caches["default"].get("key")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"pip install cacheplus[{extra}]" in done.stderr.splitlines()[-1]


def test_a_missing_extra_is_its_own_error():
    error = MissingExtra("lz4", "lz4")
    assert isinstance(error, ImportError)
    assert "pip install cacheplus[lz4]" in str(error)


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.parametrize("kind", ["redis", "memcached"])
def test_a_server_that_is_not_there_costs_a_page_no_more_than_its_cache(kind):
    port = closed_port()
    backends = {
        "redis": {"BACKEND": "cacheplus.backends.redis.RedisCache", "LOCATION": f"redis://127.0.0.1:{port}"},
        "memcached": {
            "BACKEND": "cacheplus.backends.memcached.PyMemcacheCache",
            "LOCATION": f"127.0.0.1:{port}",
        },
    }
    with override_settings(CACHES={"default": backends[kind]}):
        assert not [message for message in run_checks(tags=["cacheplus"]) if message.is_serious()]
        began = time.monotonic()
        response = cache_page(60)(lambda request: HttpResponse("here"))(RequestFactory().get("/"))
        assert response.content == b"here"
        assert time.monotonic() - began < 3
        assert not expire_view_cache("/")


@pytest.mark.parametrize("build", [lambda tmp: LocMemCache("unpicklable", {}), lambda tmp: FileBasedCache(tmp, {})])
def test_a_value_that_cannot_be_pickled_raises_as_in_django_and_leaves_no_half(build, tmp_path):
    tmp_path.chmod(0o700)
    store = build(tmp_path)
    store.set("key", "old")
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        store.set("key", lambda: None)
    assert store.get("key") in ("old", None)


def test_a_key_that_memcached_refuses():
    with pytest.raises(InvalidCacheKey, match="characters that will cause errors"):
        PyMemcacheCache("127.0.0.1:1", {}).get("a key")


@pytest.mark.parametrize("timeout", ["60", object(), float("nan"), [60]])
def test_a_timeout_that_is_no_number_names_alias_and_value(timeout):
    store = LocMemCache("timeouts", {})
    store.set("key", "old")
    with pytest.raises(TypeError, match=r"The timeout for cache 'LocMemCache' must be a number of seconds or None"):
        store.set("key", "new", timeout)
    assert store.get("key") == "old"


@pytest.mark.django_db
def test_a_table_that_does_not_exist_names_the_command():
    with pytest.raises(Exception, match=r"manage\.py createcachetable"):
        DatabaseCache("no_such_table", {}).get("key")


def test_a_directory_that_others_may_write_to_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(PermissionError, match=r"can be written to by other users.*Set LOCATION"):
        FileBasedCache(tmp_path, {}).set("key", 1)
    assert list(tmp_path.rglob("*.djcache")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_directory_that_is_read_only_costs_a_page_no_more_than_its_cache(tmp_path):
    place = tmp_path / "cache"
    place.mkdir(mode=0o755)
    # The interpreter may lie where only root can read: all is imported, and done once, before root is left.
    code = f"""
import os
from django.conf import settings
settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], CACHES={{
    "default": {{"BACKEND": "cacheplus.backends.locmem.LocMemCache"}},
    "files": {{"BACKEND": "cacheplus.backends.filebased.FileBasedCache", "LOCATION": {str(place)!r}}}}})
import django
django.setup()
import cacheplus.backends.filebased
from django.http import HttpResponse
from django.test import RequestFactory
from cacheplus import cache_page
view = lambda request: HttpResponse("here")
request = RequestFactory().get("/")
cache_page(60)(view)(request)
os.setgid(65534), os.setuid(65534)
print(cache_page(60, cache="files")(view)(request).content.decode())
"""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == 0 and str(directory).startswith("/tmp/pytest"):
            directory.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "here", done.stderr


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("blog/1/", ValueError, "must begin with a slash"),
        ("", ValueError, "must begin with a slash"),
        (None, TypeError, "takes a path, a URL or an object"),
        (42, TypeError, "not 42"),
    ],
)
def test_what_is_no_path_cannot_be_expired(path, error, words):
    with pytest.raises(error, match=words):
        expire_view_cache(path)


def test_a_bare_string_is_no_list_of_tags():
    with pytest.raises(TypeError, match=r"tags takes a list of names"):
        cache.set("key", 1, tags="abc")
    with pytest.raises(TypeError, match="A tag must be a string"):
        expire_tags(None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{% cache %}{% endcache %}", "requires at least 2 arguments"),
        ("{% cache 60 %}{% endcache %}", "requires at least 2 arguments"),
        ("{% cache soon name %}{% endcache %}", "non-integer timeout value: ''"),
        ('{% cache "soon" name %}{% endcache %}', "non-integer timeout value: 'soon'"),
        ('{% cache 60 name using="nowhere" %}{% endcache %}', "Invalid cache name"),
        ("{% cache 60 name tags=5 %}{% endcache %}", "no list of names"),
        ("{% cache 60 name tags='a' tags='b' %}{% endcache %}", "tags= twice"),
    ],
)
def test_misuse_of_the_tag(text, words):
    engine = Engine(libraries={"cacheplus": "cacheplus.templatetags.cacheplus"})
    with pytest.raises(TemplateSyntaxError, match=words):
        engine.from_string("{% load cacheplus %}" + text).render(Context())


def test_the_calling_form_of_django_1_2_shows_today_s():
    with pytest.raises(TypeError, match=r"use @cache_page\(60\)"):
        cache_page(lambda request: None, 60)


def test_what_is_no_view_cannot_be_decorated():
    with pytest.raises(TypeError, match="decorates a view"):
        cache_page(60)("blog.views.index")


def test_a_redis_that_is_not_there_raises_from_a_plain_call_unless_told_otherwise():
    port = closed_port()
    with pytest.raises(Exception, match="refused"):
        RedisCache(f"redis://127.0.0.1:{port}", {}).get("key")
    forgiving = RedisCache(f"redis://127.0.0.1:{port}", {"OPTIONS": {"ON_FAULT": "miss"}})
    assert forgiving.get("key", "miss") == "miss"
    assert forgiving.add("key", 1) is False


class TestAVeryLongKey:
    SECRET = "the-token-of-a-visitor"
    KEY = "k\n" * 5000 + SECRET

    def test_is_not_repeated_in_a_warning(self):
        cache = LocMemCache("very long keys", {})
        with pytest.warns(CacheKeyWarning) as told:
            cache.set(self.KEY, 1)
        assert told
        for warning in told:
            assert self.SECRET not in str(warning.message)
            assert "\n" not in str(warning.message)

    @pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
    def test_is_not_repeated_in_an_error(self):
        cache = LocMemCache("no such key", {})
        for call in (cache.incr, cache.incr_version, lambda key: cache.lock(key, wait=0).__enter__()):
            cache.lock(self.KEY).__enter__()
            with pytest.raises((ValueError, LockNotAcquired)) as told:
                call(self.KEY)
            assert self.SECRET not in str(told.value)
            assert "\n" not in str(told.value)
            cache.clear()

    @pytest.mark.parametrize("key", [KEY, "k" * 5000 + SECRET], ids=["with line ends", "plain"])
    def test_is_not_repeated_where_memcached_refuses_it(self, key):
        with pytest.raises(InvalidCacheKey) as told:
            PyMemcacheCache("127.0.0.1:1", {}).set(key, 1)
        assert self.SECRET not in str(told.value)
        assert "\n" not in str(told.value)
