"""One page for each session: whose it is sees it again, and nobody else does."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from django.views import View

from cacheplus.decorators import cache_page
from cacheplus.mixins import CacheMixin
from tests.sites import AUTH, CSRF, FETCH, MESSAGES, ONE_LINE, SESSION, UPDATE, Page, is_hit, outcome, site, visitor

pytestmark = pytest.mark.django_db

IN_CACHE = {"SESSION_ENGINE": "django.contrib.sessions.backends.cache"}
INSIDE = (SESSION, CSRF, AUTH, MESSAGES)
OUTER = {"none": INSIDE, "pair": (UPDATE, *INSIDE, FETCH), "one line": (ONE_LINE, *INSIDE)}


def by_decorator(view):
    return cache_page(300, per_user=True)(view)


def by_mixin(view):
    class Mixed(CacheMixin, View):
        cache_per_user = True

        def get(self, request):
            return view(request)

    return Mixed.as_view()


@pytest.fixture(params=[by_decorator, by_mixin])
def serve(request):
    def serve(view, outer="none", **settings):
        return site(path("", request.param(view)), MIDDLEWARE=list(OUTER[outer]), **{**IN_CACHE, **settings})

    return serve


def member(name):
    client = Client()
    client.force_login(User.objects.get_or_create(username=name)[0])
    return client


def greeting():
    return Page(lambda request: HttpResponse(f"hello {request.user} {request.session.get('cart')}"))


@pytest.mark.parametrize("outer", OUTER)
def test_each_session_has_a_page_of_its_own(serve, outer):
    page = greeting()
    with serve(page, outer):
        ann, bob = member("ann"), member("bob")
        for _ in range(3):
            assert ann.get("/").content == b"hello ann None"
            assert bob.get("/").content == b"hello bob None"
            assert visitor().get("/").content == b"hello AnonymousUser None"
        assert page.runs == 3


def test_a_new_session_of_the_same_visitor_begins_anew(serve):
    with serve(greeting()):
        ann = member("ann")
        ann.get("/")
        assert is_hit(ann.get("/"))
        ann.logout()
        assert ann.get("/").content == b"hello AnonymousUser None"
        ann.force_login(User.objects.get(username="ann"))
        assert not is_hit(ann.get("/"))


def test_it_goes_out_as_private(serve):
    with serve(greeting()):
        ann = member("ann")
        for _ in range(2):
            assert "private" in ann.get("/")["Cache-Control"]
        assert "private" not in visitor().get("/")["Cache-Control"]


def test_a_session_that_does_not_exist_makes_no_page(serve):
    page = greeting()
    with serve(page):
        for number in range(3):
            response = visitor(sessionid=f"{number}" * 32).get("/")
            assert "stored" not in outcome(response)
            assert response.content == b"hello AnonymousUser None"
        assert page.runs == 3


def test_a_view_that_looks_at_nobody_makes_no_page_for_a_session(serve):
    with serve(Page()):
        for _ in range(2):
            assert "stored" not in outcome(visitor(sessionid="x" * 32).get("/"))
        visitor().get("/")
        assert is_hit(visitor().get("/"))


def test_a_changed_session_is_not_stored(serve):
    def view(request):
        request.session["count"] = request.session.get("count", 0) + 1
        return HttpResponse(str(request.session["count"]))

    with serve(view):
        ann = member("ann")
        assert [ann.get("/").content for _ in range(3)] == [b"1", b"2", b"3"]


def test_a_token_of_csrf_protection_does_not_make_a_session(serve):
    page = greeting()
    with serve(page):
        visitor().get("/")
        assert is_hit(visitor(csrftoken="x" * 32).get("/"))


def test_a_page_from_the_time_when_sessions_were_told_apart_is_for_nobody_in_particular():
    with site(path("", cache_page(300, per_user=True)(greeting())), MIDDLEWARE=list(INSIDE), **IN_CACHE):
        visitor().get("/")
        ann = member("ann")
        settings.ROOT_URLCONF.urlpatterns[:] = [path("", cache_page(300)(greeting()))]
        assert is_hit(visitor().get("/"))
        assert ann.get("/").content == b"hello ann None"
