"""ACCEPT_DJANGO: the file store over a directory of Django's, and back."""

import os
import pickle
import random
import zlib

import pytest
from django.core.cache.backends.filebased import FileBasedCache as DjangoFileBasedCache

from cacheplus.backends.directories import UnsafeLocation
from cacheplus.backends.filebased import FileBasedCache


class Bomb:
    exploded = False

    def __reduce__(self):
        return setattr, (Bomb, "exploded", True)


@pytest.fixture
def django(tmp_path):
    return DjangoFileBasedCache(tmp_path / "cache", {})


@pytest.fixture
def make(tmp_path):
    return lambda **options: FileBasedCache(tmp_path / "cache", {"OPTIONS": {"ACCEPT_DJANGO": True, **options}})


@pytest.fixture
def ours(make):
    return make()


class TestReading:
    @pytest.mark.parametrize("value", [5, -1, "text", None, b"", {"a": [1, (2,)]}, True, 2**70], ids=ascii)
    def test_what_django_wrote_is_read_by_every_call(self, django, ours, value):
        for key in ("key", "tagged", "moved"):
            django.set(key, value, 60)
        assert ours.get("key", "default") == value
        assert ours.get_many(["key", "missing"]) == {"key": value}
        assert ours.has_key("key") is True
        assert 55 < ours.ttl("key") <= 60
        assert ours.add("key", "another") is False
        assert ours.get_or_set("key", "another") == value
        assert ours.incr_version("moved") == 2
        assert ours.get("moved", "default", version=2) == value
        assert ours.has_key("moved") is False

    def test_what_has_no_end_has_none(self, django, ours):
        django.set("key", "value", None)
        assert ours.get("key") == "value"
        assert ours.ttl("key") is None

    def test_versions_and_prefixes_are_djangos(self, tmp_path):
        params = {"KEY_PREFIX": "pre", "VERSION": 3}
        DjangoFileBasedCache(tmp_path / "cache", params).set("key", "value")
        ours = FileBasedCache(tmp_path / "cache", {**params, "OPTIONS": {"ACCEPT_DJANGO": True}})
        assert ours.get("key") == "value"

    def test_a_counter_goes_on_and_keeps_its_end(self, django, ours):
        django.set("key", 41, 60)
        assert ours.incr("key") == 42
        assert 55 < ours.ttl("key") <= 60
        assert ours.incr("key") == 43

    def test_a_touched_value_gets_its_new_end(self, django, ours):
        django.set("key", ["value"], 60)
        assert ours.touch("key", 1000) is True
        assert ours.ttl("key") > 900
        assert ours.get("key") == ["value"]

    def test_what_has_ended_is_absent(self, django, ours):
        django.set("key", "value", -1)
        assert ours.get("key") is None
        assert ours.touch("key") is False
        assert ours.delete("key") is False
        assert ours.add("key", "new") is True

    def test_without_the_option_it_is_a_miss_and_left_alone(self, django, make):
        django.set("key", "value")
        cache = make(ACCEPT_DJANGO=False)
        assert cache.get("key") is None
        assert cache.delete("key") is False
        assert django.get("key") == "value"

    def test_a_pickle_is_loaded_only_where_pickles_are_asked_for(self, django, make):
        django.set("key", Bomb())
        cache = make(SERIALIZER="json")
        assert cache.get("key") is None
        assert cache.add("key", "new") is True
        assert not Bomb.exploded


class TestReplacing:
    """Once ours is written, an older one of Django's must never be seen again."""

    @pytest.mark.parametrize(
        "change",
        [
            lambda cache: cache.set("key", "new", 60),
            lambda cache: cache.set_many({"key": "new"}, 60),
            lambda cache: cache.touch("key", 60),
            lambda cache: cache.set("key", "new", 0),
            lambda cache: cache.delete("key"),
            lambda cache: cache.delete_many(["key"]),
            lambda cache: cache._swap(":1:key", cache._read([":1:key"])[":1:key"], None, None),
            lambda cache: cache.clear(),
        ],
        ids=["set", "set_many", "touch", "set for no time", "delete", "delete_many", "swap", "clear"],
    )
    def test_what_was_changed_does_not_come_back(self, django, ours, tmp_path, change):
        django.set("key", "old", None)
        change(ours)
        assert django.get("key") is None
        for path in (tmp_path / "cache" / "values").rglob("*.djcache"):
            path.unlink()
        assert ours.get("key") is None


class TestDamage:
    CONTENTS = (
        b"",
        b"garbage",
        pickle.dumps(None),
        pickle.dumps(None) + b"garbage",
        pickle.dumps("never") + zlib.compress(pickle.dumps("value")),
        pickle.dumps(10**400) + zlib.compress(pickle.dumps("value")),
        pickle.dumps(float("nan")) + zlib.compress(pickle.dumps("value")),
        pickle.dumps(None) + zlib.compress(b"garbage"),
        pickle.dumps(None) + zlib.compress(pickle.dumps("value"))[:-1],
    )

    @pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
    def test_a_damaged_file_is_a_miss_and_can_be_replaced(self, django, ours, tmp_path, content):
        django.set("key", "value")
        (path,) = (tmp_path / "cache").glob("*.djcache")
        path.write_bytes(content)
        assert ours.get("key") is None
        assert ours.add("key", "new") is True
        assert ours.get("key") == "new"

    def test_a_bomb_is_a_miss(self, django, make):
        django.set("key", b"\0" * 2_000_000)
        assert make().get("key") is not None
        assert make(MAX_BYTES_DECODED=1_000_000).get("key") is None

    def test_garbage_never_raises(self, django, ours, tmp_path):
        django.set("key", {"a": 1})
        (path,) = (tmp_path / "cache").glob("*.djcache")
        content, chance = path.read_bytes(), random.Random(27)
        for _ in range(300):
            flipped = bytearray(content)
            flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            path.write_bytes(flipped)
            assert ours.get("key") in (None, {"a": 1})

    def test_a_pickle_that_others_could_have_put_there_is_not_loaded(self, django, ours, tmp_path):
        django.set("key", Bomb())
        (tmp_path / "cache").chmod(0o777)
        with pytest.raises(UnsafeLocation):
            ours.get("key")
        assert not Bomb.exploded

    def test_a_file_of_somebody_else_is_not_loaded(self, django, ours, tmp_path):
        if os.geteuid():
            pytest.skip("only root can give a file away")
        django.set("key", Bomb())
        (path,) = (tmp_path / "cache").glob("*.djcache")
        os.chown(path, 1234, -1)
        assert ours.get("key") is None
        assert not Bomb.exploded


class TestTheWayBack:
    def test_django_does_without_what_we_wrote_and_leaves_it_alone(self, django, ours):
        ours.set("key", "ours", tags=["tag"])
        assert django.get("key") is None
        assert django.add("key", "django") is True
        assert django.get("key") == "django"
        django.clear()
        assert ours.get("key") == "ours"

    def test_clear_takes_what_django_wrote_with_it(self, django, make):
        django.set("key", "value")
        make(ACCEPT_DJANGO=False).clear()
        assert django.get("key") is None
