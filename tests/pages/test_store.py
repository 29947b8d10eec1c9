"""Where pages stand and what finding them costs: one trip without variants, never more than two."""

from __future__ import annotations

import secrets

import pytest
from django.http import HttpResponse

from cacheplus.backends.locmem import LocMemCache
from cacheplus.http.headers import Fields, Vary
from cacheplus.http.terms import Terms
from cacheplus.pages.keys import PageAddress
from cacheplus.pages.page import StoredPage
from cacheplus.pages.store import PageStore, variant_of
from cacheplus.recorder import meet_tags, recording
from cacheplus.store import run
from tests.stores import CountingStore

HERE = PageAddress(scheme="http", host="h", path="/p/", query="")
NOBODY = Fields()


class Store:
    """A page store that is called plainly, with the trips of the last call."""

    def __init__(self, depth=3):
        self.cache = LocMemCache(secrets.token_hex(8), {})
        self.pages = PageStore(self.cache)
        self.counting = CountingStore(self.cache)
        self.depth = depth

    @property
    def trips(self):
        return self.counting.calls

    def look(self, request=NOBODY, address=HERE):
        self.counting.calls = []
        return run(self.pages.look(self.counting, address, request, address.tags(self.depth)))

    def keep(self, looked, body, request=NOBODY, vary=(), tags=(), late=(), address=HERE):
        with recording() as recorder:
            meet_tags(late)
        response = HttpResponse(body)
        page = StoredPage.of(response, Fields(), Terms(0.0), variant_of(Vary(tuple(vary)), request))
        self.counting.calls = []
        tags = (*address.tags(self.depth), *tags)
        return run(self.pages.keep(self.counting, address, page, looked, tags, recorder)) is None

    def render(self, body, request=NOBODY, address=HERE, **given):
        assert self.keep(self.look(request, address), body, request, address=address, **given)

    def body(self, request=NOBODY, address=HERE):
        page = self.look(request, address).page
        return page and page.body


@pytest.fixture
def store():
    return Store()


def asking(**values):
    return Fields.of((name.replace("_", "-"), value) for name, value in values.items())


class TestWithoutVariants:
    def test_a_hit_costs_one_trip(self, store):
        store.render("page")
        assert store.body() == b"page"
        assert store.trips == ["read"]

    def test_a_miss_costs_one_trip_once_there_is_a_fence(self, store):
        store.render("another", address=PageAddress("http", "h", "/q/", ""))
        assert store.look().page is None
        assert store.trips == ["read"]

    def test_to_render_again_with_standing_stamps_costs_two_trips(self, store):
        store.render("page")
        looked = store.look()
        assert looked.page is not None
        # As after its lifetime: what stands was read with the page, and is enough to store the next one.
        store.cache.delete(HERE.key())
        looked = store.look()
        trips = [*store.trips]
        assert store.keep(looked, "again")
        assert [*trips, *store.trips] == ["read", "write"]

    def test_tags_found_out_by_the_view_cost_one_more_trip(self, store):
        store.render("page", tags=["news"], late=["inner"])
        assert store.body() == b"page"
        assert store.trips == ["read", "read"]

    def test_an_expired_page_is_not_found(self, store):
        store.render("page", tags=["news"])
        store.cache.expire_tags("news")
        assert store.look().page is None


class TestVariants:
    def test_the_first_one_costs_one_trip_and_every_other_two(self, store):
        for language in ("a", "b", "c"):
            store.render(language, asking(X_One=language), vary=["x-one"])
        for language, trips in (("a", 1), ("b", 2), ("c", 2)):
            assert store.body(asking(X_One=language)) == language.encode()
            assert store.trips == ["read"] * trips

    def test_with_tags_of_the_view_cost_two_trips_as_well(self, store):
        for language in ("a", "b"):
            store.render(language, asking(X_One=language), vary=["x-one"], tags=["news"])
        for language in ("a", "b"):
            assert store.body(asking(X_One=language)) == language.encode()
            assert store.trips == ["read"] * 2

    def test_with_other_tags_than_the_first_one_are_found(self, store):
        for language in ("a", "b"):
            store.render(language, asking(X_One=language), vary=["x-one"], tags=[f"news-{language}"])
        assert store.body(asking(X_One="b")) == b"b"
        store.cache.expire_tags("news-a")
        assert store.body(asking(X_One="a")) is None
        store.cache.expire_tags("news-b")
        assert store.body(asking(X_One="b")) is None

    def test_an_absent_field_is_not_an_empty_one(self, store):
        store.render("absent", vary=["x-one"])
        store.render("empty", asking(X_One=""), vary=["x-one"])
        assert store.body() == b"absent"
        assert store.body(asking(X_One="")) == b"empty"

    def test_of_no_kind_that_was_stored_are_a_miss_that_says_so(self, store):
        store.render("a", asking(X_One="a"), vary=["x-one"])
        looked = store.look(asking(X_One="b"))
        assert looked.page is None
        assert looked.occupants["GET"].body == b"a"
        assert len(store.trips) == 2

    def test_are_replaced_each_by_its_own(self, store):
        for body in ("a", "b"):
            store.render(body, asking(X_One=body), vary=["x-one"])
        store.cache.delete(HERE.key(("b",)))
        store.render("b again", asking(X_One="b"), vary=["x-one"])
        assert store.body(asking(X_One="a")) == b"a"
        assert store.body(asking(X_One="b")) == b"b again"

    def test_by_other_fields_take_the_place(self, store):
        store.render("a", asking(X_One="a"), vary=["x-one"])
        store.render("two", asking(X_One="b", X_Two="2"), vary=["x-one", "x-two"])
        assert store.body(asking(X_One="b", X_Two="2")) == b"two"
        assert store.trips == ["read"]
        assert store.body(asking(X_One="a")) is None

    def test_expire_together(self, store):
        for value in ("a", "b"):
            store.render(value, asking(X_One=value), vary=["x-one"])
        store.cache.expire_tags("page: /p/")
        for value in ("a", "b"):
            assert store.body(asking(X_One=value)) is None

    def test_come_back_after_an_expiry_the_first_one_in_first_place(self, store):
        for value in ("a", "b"):
            store.render(value, asking(X_One=value), vary=["x-one"])
        store.cache.expire_tags("page: /p/")
        store.render("b again", asking(X_One="b"), vary=["x-one"])
        assert store.body(asking(X_One="b")) == b"b again"
        assert store.trips == ["read"]


class TestBeginning:
    def test_what_was_expired_while_it_was_rendered_is_not_stored(self, store):
        store.render("old")
        store.cache.delete(HERE.key())
        looked = store.look()
        store.cache.expire_tags("page: /p/")
        store.keep(looked, "stale")
        assert store.body() is None

    def test_what_was_expired_before_its_tag_was_ever_used_is_not_stored(self, store):
        looked = store.look()
        store.cache.expire_tags("page: /p/")
        assert not store.keep(looked, "stale")
        assert store.body() is None

    def test_another_page_that_was_expired_does_not_matter(self, store):
        looked = store.look()
        store.cache.expire_tags("page: /other/")
        assert store.keep(looked, "page")

    def test_a_store_that_cannot_write_leaves_no_older_page(self, store):
        looked = store.look()
        store.render("old")

        class Full(CountingStore):
            async def write(self, items, ttl):
                return list(items)

        store.counting = Full(store.cache)
        assert not store.keep(looked, "new")
        assert store.body() is None

    def test_garbage_in_place_of_a_page_is_a_miss_that_heals(self, store):
        for garbage in ("text", 5, {"a": 1}, b"bytes", None):
            store.cache.set(HERE.key(), garbage)
            assert store.look().page is None
            store.render("page")
            assert store.body() == b"page"
