"""CacheMixin on class-based views, sync and async."""

from __future__ import annotations

import asyncio

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from django.utils import timezone
from django.views import View
from django.views.generic import ListView, TemplateView

from cacheplus import CacheMixin, expire_tags, expire_view_cache
from tests.sites import AUTH, SESSION, TEMPLATES, Counting, is_hit, layers, locmem, outcome, site, visitor

pytestmark = pytest.mark.django_db


def mixed(**attributes):
    """A view class with CacheMixin, whose runs are counted."""
    return type("Mixed", (CacheMixin, Counting), {"runs": 0, **attributes})


class AsyncCounting(View):
    runs = 0

    async def get(self, request, **kwargs):
        type(self).runs += 1
        return HttpResponse(f"run {self.runs}")


@pytest.fixture(params=[Counting, AsyncCounting], ids=["sync", "async"])
def view(request):
    return lambda **attributes: type("Mixed", (CacheMixin, request.param), {"runs": 0, **attributes})


@pytest.fixture(params=["WSGI", "ASGI"])
def get(request):
    """A GET through either handler, by a browser with these cookies."""

    def get(where="/", **cookies):
        client = Client() if request.param == "WSGI" else AsyncClient()
        client.cookies.load(cookies)
        return client.get(where) if request.param == "WSGI" else asyncio.run(client.get(where))

    return get


def serve(cls, route="", **settings):
    return site(path(route, cls.as_view()), **settings)


def test_answers_the_second_request_and_expires(view, get):
    with serve(view()):
        assert [get().content for _ in range(3)] == [b"run 1"] * 3
        assert expire_view_cache("/")
        assert get().content == b"run 2"


def test_attributes_are_the_arguments_of_cache_page(view, get):
    entries = {"default": locmem(), "pages": locmem()}
    cls = view(
        cache_timeout=None, cache_alias="pages", cache_key_prefix="mobile", cache_client_timeout=7, cache_tags=("a",)
    )
    with serve(cls, CACHES=entries):
        assert "max-age=7" in get()["Cache-Control"]
        assert is_hit(get())
        assert not expire_tags("a", cache="default")
        assert not expire_view_cache("/", "desktop")
        assert expire_view_cache("/", "mobile")
        assert not is_hit(get())
        assert expire_tags("a", cache="pages")


def test_the_timeout_of_a_request(view, get):
    cls = view(get_cache_timeout=lambda self: {"long": 500, "never": 0}[self.kwargs["kind"]])
    with serve(cls, "<kind>/"):
        assert "max-age=500" in get("/long/")["Cache-Control"]
        for _ in range(2):
            assert not is_hit(get("/never/"))
        assert is_hit(get("/long/"))


def test_the_tags_of_a_request(view, get):
    cls = view(get_cache_tags=lambda self: [f"post-{self.kwargs['number']}"])
    with serve(cls, "<int:number>/"):
        for where in ("/1/", "/2/"):
            get(where)
            assert is_hit(get(where))
        assert expire_tags("post-1")
        assert is_hit(get("/2/"))
        assert not is_hit(get("/1/"))


@pytest.mark.parametrize("wrong", [{"cache_tags": "news"}, {"cache_timeout": "60"}])
def test_bad_attributes_are_named(wrong):
    with serve(mixed(**wrong)), pytest.raises(TypeError, match=r"news|60"):
        visitor().get("/")


class TestShouldCache:
    @pytest.mark.django_db(transaction=True)
    def test_a_member_is_neither_served_nor_stored(self, view, get):
        cls = view()
        with serve(cls, MIDDLEWARE=layers("none", SESSION, AUTH)):
            member = Client()
            member.force_login(User.objects.create(username="ann"))
            cookie = member.cookies["sessionid"].value
            for number in (1, 2):
                assert get(sessionid=cookie).content == f"run {number}".encode()
            get()
            assert is_hit(get())
            assert outcome(get(sessionid=cookie)) == "fwd=bypass"

    def test_a_visitor_without_a_session_costs_no_query(self, view, get, django_assert_num_queries):
        with serve(view(), MIDDLEWARE=layers("none", SESSION, AUTH)), django_assert_num_queries(0):
            for _ in range(2):
                get()
            assert is_hit(get(_ga="1"))

    def test_our_look_at_the_user_makes_no_page_vary(self):
        session = SessionStore()
        session["cart"] = 1
        session.save()
        with serve(mixed(), MIDDLEWARE=layers("none", SESSION, AUTH)):
            for _ in range(2):
                response = visitor(sessionid=session.session_key).get("/")
                assert "Cookie" not in response.get("Vary", "")
            assert is_hit(response)

    def test_may_be_the_sites_own(self, view, get):
        cls = view(should_cache=lambda self, request: "raw" not in request.GET and self.kwargs == {})
        with serve(cls):
            for _ in range(2):
                get()
                assert not is_hit(get("/?raw"))
            assert is_hit(get())

    def test_public_is_for_everybody(self):
        cls = mixed(cache_public=True, get=lambda self, request: HttpResponse(str(request.user)))
        with serve(cls, MIDDLEWARE=layers("none", SESSION, AUTH)):
            for _ in range(2):
                assert visitor(sessionid="x").get("/").content == b"AnonymousUser"
            assert is_hit(visitor().get("/"))


def test_a_generic_view_ends_with_the_fragment_in_its_template():
    template = "{% load cacheplus %}{% cache 60 part tags='news' %}{{ view.value }}{% endcache %}"
    loaders = [("django.template.loaders.locmem.Loader", {"page.html": template})]
    templates = [{**TEMPLATES[0], "OPTIONS": {**TEMPLATES[0]["OPTIONS"], "loaders": loaders}}]
    cls = type("Mixed", (CacheMixin, TemplateView), {"template_name": "page.html", "value": 1})
    with serve(cls, TEMPLATES=templates):
        assert visitor().get("/").content == visitor().get("/").content == b"1"
        cls.value = 2
        assert expire_tags("news")
        assert visitor().get("/").content == b"2"


def test_stands_before_djangos_own_views(django_assert_num_queries):
    loaders = [("django.template.loaders.locmem.Loader", {"users.html": "{{ object_list|length }}"})]
    templates = [{**TEMPLATES[0], "OPTIONS": {**TEMPLATES[0]["OPTIONS"], "loaders": loaders}}]
    cls = type("Users", (CacheMixin, ListView), {"model": User, "template_name": "users.html"})
    with serve(cls, TEMPLATES=templates):
        visitor().get("/")
        with django_assert_num_queries(0):
            assert visitor().get("/").content == b"0"


def test_other_methods_and_redirects_pass(view):
    with serve(view()):
        assert visitor().post("/").status_code == 405
        visitor().get("/")
        assert visitor().options("/").status_code == 200
        assert is_hit(visitor().head("/"))


def test_both_layers_render_once_and_expire_together(view, get):
    with serve(view(cache_tags=["news"]), MIDDLEWARE=layers("pair")):
        assert [get().content for _ in range(3)] == [b"run 1"] * 3
        assert expire_tags("news")
        assert get().content == b"run 2"


def test_the_time_of_a_page_is_that_of_its_zone(view, get):
    with timezone.override("Europe/Paris"), serve(view()):
        get()
        assert is_hit(get())
        with timezone.override("Asia/Tokyo"):
            assert not is_hit(get())
