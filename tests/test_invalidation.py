"""Expiry calls: what they take, what they end, what they answer, and when they take effect."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group, User
from django.core.cache import caches
from django.core.cache.backends.base import InvalidCacheBackendError
from django.db import transaction
from django.http import HttpResponse
from django.template import engines
from django.test import Client
from django.urls import re_path, reverse_lazy
from django.utils.functional import lazystr

from cacheplus import (
    aexpire_tags,
    aexpire_view_cache,
    expire_changed,
    expire_fragment,
    expire_on_change,
    expire_tags,
    expire_view_cache,
    invalidation,
)
from cacheplus.backends.locmem import LocMemCache
from cacheplus.decorators import cache_page
from cacheplus.signals import tags_expired
from tests.sites import Page, ProbedCache, layers, locmem, nobody_listens, probed, site, visitor

PLACES = ["/", "/p/", "/p/child/", "/p2/", "/caf%C3%A9/", "/a/b/c/d/e/"]


@pytest.fixture
def page():
    """A page at every path, per view with a prefix and per site without."""
    page = Page()
    with site(
        re_path("^mobile/", cache_page(300, key_prefix="mobile")(page), name="mobile"),
        re_path("", cache_page(300)(page), name="any"),
        MIDDLEWARE=layers("none"),
    ):
        yield page


def is_cached(page, where, **client):
    """Whether the view is not asked for `where`; it is stored afterwards."""
    runs = page.runs
    assert Client(**client).get(where).status_code == 200
    return page.runs == runs


def fill(page, *where, **client):
    for each in where:
        is_cached(page, each, **client)
        assert is_cached(page, each, **client)


class Thing:
    def __init__(self, url):
        self.url = url

    def __repr__(self):
        return f"Thing({self.url!r})"

    def get_absolute_url(self):
        if isinstance(self.url, Exception):
            raise self.url
        return self.url


class TestPath:
    @pytest.mark.parametrize(
        ("given", "ended"),
        [
            ("/p/", "/p/"),
            ("/", "/"),
            ("/café/", "/caf%C3%A9/"),
            ("/caf%C3%A9/", "/caf%C3%A9/"),
            ("http://testserver/p/", "/p/"),
            ("https://TESTSERVER/p/", "/p/"),
            ("http://testserver", "/"),
            ("/p/#part", "/p/"),
            (Thing("/p/"), "/p/"),
            (Thing("https://testserver/p/"), "/p/"),
            (lazystr("/p/"), "/p/"),
        ],
    )
    def test_forms(self, page, given, ended):
        fill(page, *PLACES)
        expired = expire_view_cache(given)
        assert expired, expired.message
        assert [where for where in PLACES if not is_cached(page, where)] == [ended]

    def test_of_a_lazy_reverse(self, page):
        fill(page, "/mobile/")
        assert expire_view_cache(reverse_lazy("mobile"))

    @pytest.mark.parametrize("where", ["/100%25/", "/a%20b/", "/it's/", "/%E2%82%AC/x", "/a%3Fb/", "/a%23b/", "/a+b/"])
    def test_odd_characters_escaped_as_in_a_link(self, page, where):
        fill(page, where)
        assert expire_view_cache(where)
        assert not is_cached(page, where)

    @pytest.mark.parametrize(
        ("decoded", "where"),
        [("/100%/", "/100%25/"), ("/a b/", "/a%20b/"), ("/€", "/%E2%82%AC"), ("/a%41/", "/a%2541/")],
    )
    def test_odd_characters_as_request_path_has_them(self, page, decoded, where):
        fill(page, where)
        assert expire_view_cache(decoded)
        assert not is_cached(page, where)

    def test_a_url_names_its_host_and_its_query(self, page):
        fill(page, "/p/", "/p/?a=1", "/p/?a=2")
        fill(page, "/p/?a=1", headers={"host": "other.test"})
        assert expire_view_cache("http://testserver/p/?a=1")
        assert is_cached(page, "/p/?a=1", headers={"host": "other.test"})
        assert [where for where in ("/p/", "/p/?a=1", "/p/?a=2") if not is_cached(page, where)] == ["/p/?a=1"]

    @pytest.mark.parametrize(
        "wrong", [None, 5, b"/p/", ["/p/"], object(), Thing(5)], ids=lambda value: type(value).__name__
    )
    def test_what_is_none_is_a_type_error_that_shows_it(self, wrong):
        with pytest.raises(TypeError, match="a path, a URL or an object with get_absolute_url"):
            expire_view_cache(wrong)

    @pytest.mark.parametrize("wrong", ["", "p/", "blog", "?a=1", "mailto:ann@example.com", "http:/p/"])
    def test_what_does_not_begin_with_a_slash_is_a_value_error(self, wrong):
        with pytest.raises(ValueError, match="begin with a slash"):
            expire_view_cache(wrong)

    def test_an_error_of_the_object_is_its_own(self):
        with pytest.raises(ZeroDivisionError):
            expire_view_cache(Thing(ZeroDivisionError()))


class TestNarrowing:
    def test_host(self, page):
        hosts = ["a.test", "b.test", "b.test:8000"]
        for host in hosts:
            fill(page, "/p/", headers={"host": host})
        assert expire_view_cache("/p/", host="B.test")
        assert [host for host in hosts if not is_cached(page, "/p/", headers={"host": host})] == ["b.test"]

    @pytest.mark.parametrize("query", ["a=1", "?a=1"])
    def test_query(self, page, query):
        fill(page, "/p/", "/p/?a=1", "/p/?a=12")
        assert expire_view_cache("/p/", query=query)
        assert [where for where in ("/p/", "/p/?a=1", "/p/?a=12") if not is_cached(page, where)] == ["/p/?a=1"]

    def test_no_query_at_all(self, page):
        fill(page, "/p/", "/p/?a=1")
        assert expire_view_cache("/p/", query="")
        assert is_cached(page, "/p/?a=1")
        assert not is_cached(page, "/p/")

    def test_key_prefix(self, page):
        fill(page, "/mobile/", "/p/")
        assert not expire_view_cache("/p/", "mobile")
        assert not expire_view_cache("/mobile/", "desktop")
        assert is_cached(page, "/mobile/")
        assert expire_view_cache("/mobile/", "mobile")
        assert not is_cached(page, "/mobile/")
        assert expire_view_cache("/mobile/")

    def test_all_at_once(self, page):
        fill(page, "/mobile/?a=1")
        assert not expire_view_cache("/mobile/", "mobile", host="testserver", query="a=2")
        assert not expire_view_cache("/mobile/", "mobile", host="x.test", query="a=1")
        assert expire_view_cache("/mobile/", "mobile", host="testserver", query="a=1")

    def test_one_alias(self):
        with site(CACHES={"default": locmem(), "other": locmem()}):
            for alias in ("default", "other"):
                caches[alias].set("key", 1, tags=["news"])
            assert expire_tags("news", cache="other")
            assert caches["default"].get("key") == 1
            assert caches["other"].get("key") is None
            with pytest.raises(InvalidCacheBackendError, match="nowhere"):
                expire_tags("news", cache="nowhere")


class TestPrefix:
    def test_ends_the_page_and_what_is_below_it(self, page):
        fill(page, *PLACES)
        assert expire_view_cache("/p/", prefix=True)
        assert [where for where in PLACES if not is_cached(page, where)] == ["/p/", "/p/child/"]

    def test_a_path_that_begins_with_two_slashes_is_no_host(self, page):
        visitor().generic("GET", "/", PATH_INFO="//two/")
        assert expire_view_cache("//two/")

    def test_of_the_root_ends_the_site(self, page):
        fill(page, *PLACES)
        assert expire_view_cache("/", prefix=True)
        assert not [where for where in PLACES if is_cached(page, where)]

    def test_without_a_slash_means_the_page_and_its_directory_and_no_namesake(self, page):
        places = ["/p", "/p/", "/p/child/", "/p2/", "/pa"]
        fill(page, *places)
        assert expire_view_cache("/p", prefix=True)
        assert [where for where in places if is_cached(page, where)] == ["/p2/", "/pa"]

    def test_reaches_from_the_depth_that_is_kept(self, page):
        fill(page, "/a/b/c/d/e/")
        assert expire_view_cache("/a/b/c/", prefix=True)
        assert not is_cached(page, "/a/b/c/d/e/")
        with pytest.raises(ValueError, match="PREFIX_DEPTH"):
            expire_view_cache("/a/b/c/d/", prefix=True)

    def test_of_a_host(self, page):
        fill(page, "/p/child/")
        fill(page, "/p/child/", headers={"host": "x.test"})
        assert expire_view_cache("/p/", prefix=True, host="x.test")
        assert is_cached(page, "/p/child/")
        assert not is_cached(page, "/p/child/", headers={"host": "x.test"})

    def test_and_a_query_make_no_sense_together(self):
        with pytest.raises(ValueError, match="not both"):
            expire_view_cache("/p/", prefix=True, query="a=1")
        with pytest.raises(ValueError, match="not both"):
            expire_view_cache("/p/?a=1", prefix=True)


class TestAnswer:
    def test_unpacks_and_is_falsy_where_nothing_was_stored(self, page):
        ok, message = expire_view_cache("/p/")
        assert not ok
        assert "nothing was stored" in message
        assert not expire_view_cache("/p/")

    def test_is_true_once_for_what_was_stored(self, page):
        fill(page, "/p/")
        ok, message = expire_view_cache("/p/")
        assert ok
        assert "/p/" in message
        assert not expire_view_cache("/p/")

    def test_a_bypassed_page_leaves_nothing_to_expire(self, page):
        page.answer = lambda request: HttpResponse(headers={"Cache-Control": "no-store"})
        visitor().get("/p/")
        assert not expire_view_cache("/p/")

    def test_tags_that_are_none_are_type_errors(self):
        for wrong in ("", 5, None, ["news"]):
            with pytest.raises(TypeError, match="tag"):
                expire_tags(wrong)

    def test_no_tags_expire_nothing(self):
        with site():
            assert not expire_tags()


class TestAliases:
    def test_every_one_of_ours_is_reached_once_and_others_are_left_alone(self):
        shared = locmem()
        entries = {
            "default": shared,
            "same": shared,
            "prefixed": {**shared, "KEY_PREFIX": "other"},
            "far": locmem(),
            "django": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": locmem()["LOCATION"]},
            "dummy": {"BACKEND": "cacheplus.backends.dummy.DummyCache"},
        }
        reached = []

        def note(sender, alias, tags, **kwargs):
            reached.append(alias)

        with site(CACHES=entries):
            for alias in entries:
                caches[alias].set(alias, 1, **({} if alias == "django" else {"tags": ["news"]}))
            tags_expired.connect(note)
            try:
                assert expire_tags("news")
            finally:
                tags_expired.disconnect(note)
            assert set(reached) == {"default", "prefixed", "far"}
            assert [alias for alias in entries if caches[alias].get(alias)] == ["django"]

    def test_one_that_differs_in_its_options_alone_is_another_store(self):
        location = locmem()["LOCATION"]
        entries = {
            str(number): {
                "BACKEND": "cacheplus.backends.locmem.LocMemCache",
                "LOCATION": location,
                "OPTIONS": {"MAX_ENTRIES": 100 + number},
            }
            for number in range(2)
        }
        with site(CACHES={"default": locmem(), **entries}):
            spaces = {caches[alias].operations.space for alias in entries}
        assert len(spaces) == 2

    def test_one_that_is_asked_for_and_not_ours_is_a_type_error(self):
        entry = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        with site(CACHES={"default": entry}), pytest.raises(TypeError, match="not one of cacheplus"):
            expire_tags("news", cache="default")

    def test_a_dead_one_is_reported_and_keeps_nothing_from_the_others(self, caplog):
        with site(CACHES={"default": locmem(), "dead": probed(), "far": locmem()}):
            for alias in ("default", "far"):
                caches[alias].set("key", 1, tags=["news"])
            ProbedCache.reset(ConnectionError("password"))
            try:
                with caplog.at_level(logging.WARNING, "cacheplus"):
                    ok, message = expire_tags("news")
            finally:
                ProbedCache.reset()
            assert not ok
            assert "'dead' (ConnectionError)" in message
            assert caches["default"].get("key") is caches["far"].get("key") is None
        assert "password" not in caplog.text


@pytest.mark.django_db(transaction=True)
class TestCommit:
    def test_takes_effect_at_once_and_again_on_commit(self, page):
        fill(page, "/p/")
        with transaction.atomic():
            assert expire_view_cache("/p/")
            # Another visitor stores what he still sees of the old data.
            fill(page, "/p/")
        assert not is_cached(page, "/p/")

    def test_only_at_once_where_that_is_asked_for(self, page):
        with transaction.atomic():
            expire_view_cache("/p/", on_commit=False)
            fill(page, "/p/")
        assert is_cached(page, "/p/")

    def test_outside_of_a_transaction_only_once(self, page):
        expire_view_cache("/p/")
        fill(page, "/p/")
        assert is_cached(page, "/p/")

    def test_a_rollback_leaves_the_first_one_and_no_second(self, page):
        fill(page, "/p/")
        with suppress(KeyError), transaction.atomic():
            expire_view_cache("/p/")
            assert not is_cached(page, "/p/")
            raise KeyError
        assert is_cached(page, "/p/")

    def test_another_hook_that_raises_loses_nothing(self, page):
        def boom():
            raise KeyError

        with suppress(KeyError), transaction.atomic():
            expire_view_cache("/p/")
            fill(page, "/p/")
            transaction.on_commit(boom)
        assert not is_cached(page, "/p/")

    def test_a_cache_that_dies_before_the_commit_loses_no_data(self):
        with site(CACHES={"default": probed()}):
            ProbedCache.reset()
            try:
                with transaction.atomic():
                    Group.objects.create(name="kept")
                    expire_tags("news")
                    ProbedCache.reset(ConnectionError())
            finally:
                ProbedCache.reset()
        assert Group.objects.filter(name="kept").exists()

    def test_tags_and_fragments_likewise(self):
        with site():
            for expire in (lambda: expire_tags("news"), lambda: expire_fragment("part")):
                with transaction.atomic():
                    expire()
                    caches["default"].set("key", 1, tags=["news"])
                    render_part()
                assert not expire()

    async def test_from_a_coroutine(self, page):
        await sync_to_async(fill)(page, "/p/")
        assert await aexpire_view_cache("/p/")
        assert not await aexpire_view_cache("/p/", query="x")
        await caches["default"].aset("key", 1, tags=["news"])
        assert await aexpire_tags("news")
        assert await caches["default"].aget("key") is None


def render_part(vary="", **context):
    template = "{% load cacheplus %}{% cache 300 part " + vary + " %}{{ value }}{% endcache %}"
    return engines["django"].from_string(template).render(context)


class TestFragment:
    def test_every_variant(self):
        with site():
            for user in ("ann", "bob"):
                render_part("user", user=user, value=1)
            assert expire_fragment("part")
            assert [render_part("user", user=user, value=2) for user in ("ann", "bob")] == ["2", "2"]
            assert not expire_fragment("other")

    def test_one_variant(self):
        with site():
            for user in ("ann", "bob"):
                render_part("user", user=user, value=1)
            assert expire_fragment("part", ["ann"])
            assert [render_part("user", user=user, value=2) for user in ("ann", "bob")] == ["2", "1"]

    def test_the_one_without_arguments(self):
        with site():
            render_part(value=1)
            assert expire_fragment("part", [])
            assert render_part(value=2) == "2"

    def test_on_one_alias(self):
        with site(CACHES={"default": locmem(), "other": locmem()}):
            render_part(value=1)
            assert not expire_fragment("part", using="other")
            assert render_part(value=2) == "1"
            assert expire_fragment("part", using="default")


@pytest.fixture
def on_change(monkeypatch):
    """`expire_on_change` while nobody else listens; its receivers are gone after the test."""
    monkeypatch.setattr(invalidation, "_watchers", [])
    with nobody_listens():
        yield expire_on_change


@pytest.fixture
def expired():
    """The tags that were expired on the default alias, each with how often."""
    found = []

    def note(sender, tags, **kwargs):
        found.extend(tags)

    with site():
        tags_expired.connect(note)
        yield found
        tags_expired.disconnect(note)


@pytest.mark.django_db
class TestOnChange:
    def test_saving_and_deleting_expire_the_page_of_the_instance(self, page, on_change, monkeypatch):
        monkeypatch.setattr(Group, "get_absolute_url", lambda self: f"/{self.name}/", raising=False)
        on_change(Group)
        group = Group.objects.create(name="p")
        for change in (group.save, group.delete):
            fill(page, "/p/", "/p2/")
            change()
            assert not is_cached(page, "/p/")
            assert is_cached(page, "/p2/")

    def test_paths_and_tags_by_functions_of_the_instance(self, expired, on_change):
        on_change(Group, paths=lambda group: ["/", f"/{group.name}/"], tags=lambda group: f"group-{group.name}")
        Group.objects.create(name="a")
        assert {"page: /", "page: /a/", "group-a"} == set(expired)

    def test_tags_alone_expire_no_page(self, expired, on_change):
        on_change(Group, tags=lambda group: ["groups"])
        Group.objects.create(name="a")
        assert set(expired) == {"groups"}

    def test_other_models_are_not_concerned(self, expired, on_change):
        on_change(Group, tags=lambda group: ["groups"])
        User.objects.create(username="ann")
        assert expired == []

    def test_several_models_and_their_proxies(self, expired, on_change):
        class Team(Group):
            class Meta:
                proxy = True
                app_label = "auth"

        on_change(Group, User, tags=lambda instance: [type(instance).__name__])
        Team.objects.create(name="a")
        User.objects.create(username="ann")
        assert set(expired) == {"Team", "User"}

    @pytest.mark.parametrize("watched", ["near", "far", "both"])
    @pytest.mark.parametrize("by", ["near", "far"])
    @pytest.mark.parametrize("change", ["add", "remove", "set", "clear"])
    def test_many_to_many_changes_from_either_side(self, expired, on_change, watched, by, change):
        models = {"near": [User], "far": [Group], "both": [User, Group]}[watched]
        user, group = User.objects.create(username="ann"), Group.objects.create(name="a")
        User.objects.create(username="bob")
        Group.objects.create(name="b")
        if change != "add":
            user.groups.add(group)
        on_change(*models, tags=lambda instance: [str(instance)])
        manager, other = (user.groups, group) if by == "near" else (group.user_set, user)
        {
            "add": lambda: manager.add(other),
            "remove": lambda: manager.remove(other),
            "set": lambda: manager.set([]),
            "clear": manager.clear,
        }[change]()
        if change == "set" or expired:
            assert set(expired) == {str(each) for each in (user, group) if type(each) in models}
        else:
            pytest.fail("nothing was expired")

    def test_an_url_that_cannot_be_made_costs_no_save(self, on_change, monkeypatch, caplog):
        def boom(self):
            raise ZeroDivisionError

        monkeypatch.setattr(Group, "get_absolute_url", boom, raising=False)
        with site():
            on_change(Group)
            Group.objects.create(name="kept")
        assert Group.objects.filter(name="kept").exists()
        assert "auth.Group" in caplog.text

    def test_a_model_without_a_url_costs_no_save(self, on_change, caplog):
        with site():
            on_change(Group)
            Group.objects.create(name="kept")
        assert "auth.Group" in caplog.text

    def test_names_that_are_gone_after_a_deletion_are_made_before_it(self, expired, on_change):
        def tags(group):
            return [f"member-{user}" for user in group.user_set.all()]

        on_change(Group, tags=tags)
        group = Group.objects.create(name="a")
        group.user_set.add(User.objects.create(username="ann"))
        expired.clear()

        group.delete()

        assert "member-ann" in expired

    def test_one_path_that_cannot_be_used_loses_neither_the_others_nor_the_tags(self, expired, on_change, caplog):
        on_change(Group, paths=lambda group: ["nowhere", "/p/"], tags=lambda group: ["groups"])

        Group.objects.create(name="a")

        assert set(expired) == {"groups", "page: /p/"}
        assert "nowhere" in caplog.text

    def test_tags_that_cannot_be_made_lose_no_path(self, expired, on_change, caplog):
        on_change(Group, paths=lambda group: "/p/", tags=lambda group: "a" / group)

        Group.objects.create(name="a")

        assert set(expired) == {"page: /p/"}

    def test_all_that_one_instance_stands_for_is_one_expiry(self, on_change):
        with site(CACHES={"default": probed()}):
            on_change(Group, paths=lambda group: ["/p/", "/q/"], tags=lambda group: ["a", "b"])
            ProbedCache.reset()

            Group.objects.create(name="a")

            assert ProbedCache.calls.count("remove") == 1

    def test_a_dead_cache_costs_no_save(self, on_change):
        with site(CACHES={"default": probed()}):
            on_change(Group, paths=lambda group: ["/p/"])
            ProbedCache.reset(ConnectionError())
            try:
                Group.objects.create(name="kept")
            finally:
                ProbedCache.reset()
        assert Group.objects.filter(name="kept").exists()

    def test_after_bulk_operations_it_is_said_by_hand(self, expired, on_change):
        on_change(Group, tags=lambda group: f"group-{group.name}")
        on_change(User, tags=lambda user: "users")
        Group.objects.bulk_create(Group(name=name) for name in ("a", "b"))
        User.objects.bulk_create([User(username="ann")])
        assert expired == []

        expire_changed(Group.objects.all(), User.objects.get(), [Group(name="c")])

        assert sorted(set(expired)) == ["group-a", "group-b", "group-c", "users"]

    def test_what_was_changed_in_bulk_expires_at_once_together(self, on_change):
        with site(CACHES={"default": probed()}):
            on_change(Group, tags=lambda group: f"group-{group.name}")
            Group.objects.bulk_create(Group(name=name) for name in ("a", "b", "c"))
            ProbedCache.reset()

            expire_changed(Group.objects.all())

            assert ProbedCache.calls.count("remove") == 1

    def test_what_is_no_instance_was_not_changed(self):
        for wrong in ([1], ["blog"], [Group]):
            with pytest.raises(TypeError, match="instances of models"):
                expire_changed(wrong)

    def test_of_nothing_is_a_type_error(self):
        with pytest.raises(TypeError, match="at least one model"):
            expire_on_change()

    def test_of_what_is_no_model_is_a_type_error(self):
        for wrong in ("auth.Group", Group.objects, Group(name="x"), object):
            with pytest.raises(TypeError, match="model"):
                expire_on_change(wrong)


@pytest.mark.django_db(transaction=True)
class TestOnChangeInTransactions:
    def test_the_second_expiry_comes_with_the_commit(self, page, on_change):
        on_change(Group, paths=lambda group: ["/p/"])
        with transaction.atomic():
            Group.objects.create(name="a")
            fill(page, "/p/")
        assert not is_cached(page, "/p/")

    def test_after_a_rollback_the_page_is_as_it_was(self, page, on_change):
        on_change(Group, paths=lambda group: ["/p/"])
        with suppress(KeyError), transaction.atomic():
            Group.objects.create(name="a")
            fill(page, "/p/")
            raise KeyError
        assert is_cached(page, "/p/")

    def test_clearing_a_relation_expires_what_was_related_after_it_is_gone(self, page, on_change):
        on_change(User, paths=lambda user: [f"/{user.username}/"])
        group = Group.objects.create(name="a")
        User.objects.create(username="ann").groups.add(group)
        with transaction.atomic():
            group.user_set.clear()
            fill(page, "/ann/")
        assert not is_cached(page, "/ann/")


class AwayCache(LocMemCache):
    """A shared store from which nothing can be removed."""

    is_shared = True
    is_thread_sensitive = True

    def _remove(self, names):
        raise ConnectionError("the server is gone")


@pytest.mark.parametrize("on_fault", ["raise", "miss"])
def test_a_fault_of_one_cache_is_told_and_not_taken_for_nothing_to_expire(on_fault, caplog):
    away = {"BACKEND": f"{__name__}.AwayCache", "LOCATION": on_fault, "OPTIONS": {"ON_FAULT": on_fault}}
    with site(CACHES={"default": locmem(), "away": away}):
        for alias in ("default", "away"):
            caches[alias].set("key", "old", tags=["tag"])
        expired = expire_tags("tag")
        assert not expired
        assert expired.message.startswith("tag could not be expired on 'away' (ConnectionError)")
        assert caches["default"].get("key") is None
        assert caches["away"].get("key") is None
        assert caches["away"].pending_removals > 0
        for _ in range(10):
            expire_tags("tag")
        assert len(caplog.records) <= 1
