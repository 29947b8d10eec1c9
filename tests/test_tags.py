import secrets
from math import inf

import pytest

from cacheplus.backends.locmem import LocMemCache
from cacheplus.store import SERVICE_MARK, Direct, run
from cacheplus.tags import Beginning, Fence, Stamp, Tags, tag_names
from tests.stores import CountingStore


@pytest.fixture
def leaf():
    return LocMemCache(secrets.token_hex(8), {})


@pytest.fixture
def store(leaf):
    return CountingStore(leaf)


@pytest.fixture
def tags():
    return Tags(lambda key: f"prefix:0:{SERVICE_MARK}{key}")


def begin(tags, store, *names):
    return run(tags.begin(store, names))


def settle(tags, store, beginning, ttl=60, **kwargs):
    return run(tags.settle(store, beginning, ttl, **kwargs))


def expire(tags, store, *names):
    return run(tags.expire(store, names))


class TestStamp:
    @pytest.mark.parametrize("ttl", [None, 0.1, 60, 10**6])
    def test_comes_back_as_it_was_stored(self, ttl):
        stamp = Stamp.new(ttl)
        assert Stamp.unpack(stamp.pack()) == stamp

    @pytest.mark.parametrize("ttl", [0.1, 60, 10**6])
    def test_outlives_the_record_that_it_was_made_for(self, ttl):
        stamp = Stamp.new(ttl)
        assert stamp.ttl > ttl
        assert stamp.covers(ttl)
        assert not stamp.covers(None)
        assert not stamp.covers(stamp.ttl + 10)

    def test_of_a_record_without_end_has_none(self):
        stamp = Stamp.new(None)
        assert (stamp.until, stamp.ttl) == (inf, None)
        assert stamp.covers(None)
        assert stamp.covers(10**12)

    def test_is_never_what_a_store_takes_for_a_number(self):
        assert not any(Stamp.new(60).pack()[:1].isdigit() for _ in range(100))

    @pytest.mark.parametrize(
        "garbage", [None, b"", b"garbage", 5, b"\xcb" * 13, b"\xcb" * 15, b"\x00" * 14, "text", object()]
    )
    def test_that_cannot_be_read_is_missing(self, garbage):
        assert Stamp.unpack(garbage) is None


class TestFence:
    def test_comes_back_as_it_was_stored(self):
        fence = Fence.new().moved(["a", "b"])
        assert Fence.unpack(fence.pack()) == fence

    @pytest.mark.parametrize("garbage", [None, b"", b"\xcb", b"garbage", 5, b"\xcb" * 18, "text", object()])
    def test_that_cannot_be_read_is_missing(self, garbage):
        assert Fence.unpack(garbage) is None

    def test_spares_every_tag_while_it_stands(self):
        fence = Fence.new()
        assert fence.spares(fence.token, ["any", "tag"])

    def test_spares_what_was_not_expired_since(self):
        before = Fence.new().moved(["long ago"])
        after = before.moved(["a"]).moved(["b", "c"])
        assert after.spares(before.token, ["other", "long ago"])
        for tag in "abc":
            assert not after.spares(before.token, ["other", tag])

    def test_spares_nothing_since_a_moment_that_it_does_not_know(self):
        assert not Fence.new().spares(Fence.new().token, ["tag"])

    def test_forgets_what_was_long_ago_and_then_spares_nothing(self):
        before = after = Fence.new()
        for number in range(100):
            after = after.moved([f"tag-{number}"])
        assert not after.spares(before.token, ["other"])
        assert len(after.pack()) < 2000

    def test_remembers_all_tags_of_one_large_expiry(self):
        before = Fence.new()
        after = before.moved([f"tag-{number}" for number in range(500)])
        assert not after.spares(before.token, ["tag-0"])

    def test_moves_with_every_expiry(self, tags, store, leaf):
        begin(tags, store)
        tokens = set()
        for _ in range(3):
            expire(tags, store, "tag")
            tokens.add(Fence.unpack(leaf._read([tags.fence_name])[tags.fence_name]).token)
        assert len(tokens) == 3


class TestNames:
    def test_are_service_names_of_bounded_length(self, tags):
        for tag in ("tag", "x" * 10_000, "two words", "\ud800"):
            assert tags.name(tag).startswith(f"prefix:0:{SERVICE_MARK}tag.")
            assert len(tags.name(tag)) < 100
            assert tags.name(tag).isascii()
        assert SERVICE_MARK in tags.fence_name

    def test_differ_from_tag_to_tag(self, tags):
        assert len({tags.name(tag) for tag in ("a", "A", "a ", "á", "fence", "")}) == 6

    def test_are_read_with_the_fence(self, tags):
        assert tags.names(["a", "b"]) == [tags.name("a"), tags.name("b"), tags.fence_name]


class TestSettle:
    def test_carries_the_stamps_that_stood_at_the_beginning(self, tags, store):
        first = settle(tags, store, begin(tags, store, "a", "b"))
        second = settle(tags, store, begin(tags, store, "b", "c"))
        assert (set(first), set(second)) == ({"a", "b"}, {"b", "c"})
        assert second["b"] == first["b"]
        assert len({*first.values(), *second.values()}) == 3

    def test_makes_no_stamp_before_something_is_about_to_be_stored(self, tags, store, leaf):
        begin(tags, store, "tag")
        assert leaf._read([tags.name("tag")]) == {}

    @pytest.mark.parametrize("used", [True, False])
    def test_refuses_what_was_expired_since_the_beginning(self, tags, store, used):
        if used:
            settle(tags, store, begin(tags, store, "tag"))
        early, late = begin(tags, store, "tag"), begin(tags, store)
        expire(tags, store, "tag")
        carried = settle(tags, store, early)
        now = settle(tags, store, begin(tags, store, "tag"))
        assert carried is None or carried["tag"] != now["tag"]
        assert settle(tags, store, late, late=["tag"]) is None

    def test_spares_a_late_tag_when_others_were_expired(self, tags, store):
        beginning = begin(tags, store)
        expire(tags, store, "unrelated")
        expire(tags, store, "another")
        assert set(settle(tags, store, beginning, late=["tag"])) == {"tag"}

    def test_refuses_late_tags_when_the_fence_was_lost(self, tags, store, leaf):
        beginning = begin(tags, store)
        leaf._remove([tags.fence_name])
        assert settle(tags, store, beginning, late=["tag"]) is None
        begin(tags, store)
        assert settle(tags, store, beginning, late=["tag"]) is None

    def test_takes_the_stamps_of_inner_values_only_while_they_stand(self, tags, store):
        inner = settle(tags, store, begin(tags, store, "tag"))
        beginning = begin(tags, store)
        assert settle(tags, store, beginning, inner=inner) == inner
        expire(tags, store, "tag")
        assert settle(tags, store, beginning, inner=inner) is None
        settle(tags, store, begin(tags, store, "tag"))
        assert settle(tags, store, beginning, inner=inner) is None

    def test_refuses_an_inner_value_older_than_the_beginning(self, tags, store):
        inner = settle(tags, store, begin(tags, store, "tag"))
        expire(tags, store, "tag")
        settle(tags, store, begin(tags, store, "tag"))
        assert settle(tags, store, begin(tags, store, "tag"), inner=inner) is None

    def test_costs_nothing_where_the_stamps_stood_and_last(self, tags, store):
        settle(tags, store, begin(tags, store, "a", "b"))
        store.calls.clear()
        beginning = begin(tags, store, "a", "b")
        settle(tags, store, beginning)
        assert store.calls == ["read"]


class TestLife:
    """Of a stamp."""

    def test_is_extended_to_the_longest_record(self, tags, store, leaf):
        name = tags.name("tag")
        first = settle(tags, store, begin(tags, store, "tag"), ttl=60)
        assert settle(tags, store, begin(tags, store, "tag"), ttl=10**6) == first
        assert leaf._ttl(name) >= 10**6
        assert settle(tags, store, begin(tags, store, "tag"), ttl=60) == first
        assert leaf._ttl(name) >= 10**6 - 60
        assert settle(tags, store, begin(tags, store, "tag"), ttl=None) == first
        assert leaf._ttl(name) is None
        assert settle(tags, store, begin(tags, store, "tag"), ttl=60) == first
        assert leaf._ttl(name) is None

    def test_is_extended_although_another_extends_it_at_the_same_time(self, tags, store, leaf):
        settle(tags, store, begin(tags, store, "tag"), ttl=60)
        slow = begin(tags, store, "tag")
        settle(tags, store, begin(tags, store, "tag"), ttl=10**5)
        assert settle(tags, store, slow, ttl=10**7) is not None
        assert leaf._ttl(tags.name("tag")) >= 10**7

    def test_is_not_given_back_to_a_stamp_that_was_expired(self, tags, store, leaf):
        settle(tags, store, begin(tags, store, "tag"), ttl=60)
        beginning = begin(tags, store, "tag")
        expire(tags, store, "tag")
        assert settle(tags, store, beginning, ttl=10**6) is None
        assert leaf._read([tags.name("tag")]) == {}


class TestExpire:
    def test_counts_the_stamps_that_were_there(self, tags, store):
        settle(tags, store, begin(tags, store, "a", "b"))
        assert expire(tags, store, "a", "b", "a", "unknown") == 2
        assert expire(tags, store, "a", "b") == 0

    def test_of_nothing_asks_nothing(self, tags, store):
        assert expire(tags, store) == 0
        assert store.calls == []

    def test_moves_the_fence_before_it_deletes_the_stamps(self, tags, store):
        begin(tags, store)
        store.calls.clear()
        expire(tags, store, "a", "b")
        assert store.calls == ["read", "swap", "remove"]

    def test_makes_a_fence_where_there_is_none(self, tags, store, leaf):
        expire(tags, store, "tag")
        assert Fence.unpack(leaf._read([tags.fence_name])[tags.fence_name])

    def test_replaces_a_fence_that_cannot_be_read(self, tags, store, leaf):
        before = begin(tags, store)
        leaf._write({tags.fence_name: b"garbage"}, None)
        assert settle(tags, store, before, late=["tag"]) is None
        expire(tags, store, "tag")
        assert Fence.unpack(leaf._read([tags.fence_name])[tags.fence_name])
        assert settle(tags, store, before, late=["tag"]) is None

    def test_a_beginning_replaces_a_fence_that_cannot_be_read(self, tags, store, leaf):
        before = begin(tags, store)
        leaf._write({tags.fence_name: b"garbage"}, None)
        now = begin(tags, store)
        assert settle(tags, store, before, late=["tag"]) is None
        assert settle(tags, store, now, late=["tag"])

    def test_goes_on_where_others_keep_moving_the_fence(self, tags, leaf):
        class Contended(Direct):
            async def swap(self, *args):
                return False

        store = Contended(leaf)
        beginning = begin(tags, store)
        run(tags.expire(store, ["tag"]))
        assert settle(tags, store, beginning, late=["tag"]) is None
        assert settle(tags, store, beginning, late=["unrelated"]) is None
        assert settle(tags, store, begin(tags, store), late=["tag"])


class TestBeginning:
    def test_counts_what_was_missing_as_late(self):
        beginning = Beginning(("there", "missing"), {"there": Stamp.new(60)})
        assert beginning.late(["new", "there"]) == ["missing", "new"]


class TestTagNames:
    def test_are_each_taken_once_in_order(self):
        assert tag_names(["b", "a", "b"]) == ("b", "a")

    @pytest.mark.parametrize("wrong", ["name", [5], [""], [None], ["good", b"bytes"]])
    def test_what_is_no_name_is_a_type_error_that_shows_it(self, wrong):
        with pytest.raises(TypeError, match=r"name|string"):
            tag_names(wrong)
