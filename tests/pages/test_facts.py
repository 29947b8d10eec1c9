"""What the policy is told of a request and its response, and that asking leaves no trace in them."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.test import RequestFactory, override_settings
from django.utils import timezone, translation
from django.utils.functional import SimpleLazyObject

from cacheplus.http.cookies import CookieRules
from cacheplus.http.facts import Personal
from cacheplus.http.query import QueryRules
from cacheplus.pages.facts import (
    Locale,
    Watch,
    address_of,
    is_authenticated,
    look_again,
    request_facts,
    request_fields,
    response_facts,
)

HERE = Locale("en", "UTC")
requests = RequestFactory()


def facts(request, credentials=("HTTP_X_API_KEY", "REMOTE_USER"), asks_user=False, **others):
    cookies = frozenset({"sessionid", "csrftoken", "messages"})
    given = {
        "is_excluded": False,
        "visitor_cookies": cookies,
        "asks_user": asks_user,
        "codings": (),
        "session_cookies": cookies,
        **others,
    }
    return request_facts(request, credentials=credentials, cookies=CookieRules(visitor=cookies), **given)


class TestAddress:
    def test_holds_what_was_asked_for(self):
        request = requests.get("/café/?b=2&a=1", secure=True, headers={"host": "Example.COM:8443"})
        address = address_of(request, HERE, QueryRules(), key_prefix="prefix", layer="view")
        assert (address.scheme, address.host, address.path) == ("https", "example.com:8443", "/caf%C3%A9/")
        assert (address.query, address.language, address.time_zone) == ("a=1&b=2", "en", "UTC")
        assert (address.key_prefix, address.layer) == ("prefix", "view")

    @override_settings(ALLOWED_HOSTS=["example.com"])
    def test_of_a_foreign_host_is_none(self):
        assert address_of(requests.get("/", headers={"host": "evil.test"}), HERE, QueryRules()) is None

    def test_has_the_script_name(self):
        assert address_of(requests.get("/p/", SCRIPT_NAME="/app"), HERE, QueryRules()).path == "/app/p/"


class TestRequest:
    @pytest.mark.parametrize(
        ("extra", "expected"),
        [
            ({}, False),
            ({"CONTENT_LENGTH": ""}, False),
            ({"CONTENT_LENGTH": "0"}, False),
            ({"CONTENT_LENGTH": "1"}, True),
            ({"CONTENT_LENGTH": "garbage"}, True),
            ({"HTTP_TRANSFER_ENCODING": "chunked"}, True),
        ],
    )
    def test_body(self, extra, expected):
        assert facts(requests.get("/", **extra)).has_body is expected

    def test_fields_that_wsgi_keeps_elsewhere_are_found_under_their_names(self):
        fields = request_fields(requests.get("/", CONTENT_TYPE="text/x", HTTP_X_ONE="1"), CookieRules(), ())
        assert fields.get("content-type") == "text/x"
        assert fields.get("X-One") == "1"
        assert fields.get("Accept") is None

    @pytest.mark.parametrize(
        ("extra", "expected"),
        [
            ({}, ()),
            ({"HTTP_X_API_KEY": "secret"}, ("HTTP_X_API_KEY",)),
            ({"HTTP_X_API_KEY": ""}, ()),
            ({"REMOTE_USER": "ann"}, ("REMOTE_USER",)),
        ],
    )
    def test_credentials(self, extra, expected):
        assert facts(requests.get("/", **extra)).credentials == expected

    @pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages"])
    def test_cookies_of_a_visitor(self, name):
        assert facts(requests.get("/", headers={"cookie": f"{name}=x; other=1"})).has_visitor_cookie
        assert not facts(requests.get("/", headers={"cookie": f"x{name}=x"})).has_visitor_cookie

    def test_the_user_is_not_asked_for_without_need(self):
        def asked():
            raise AssertionError("nobody needs to know")

        for needs, cookie in ((False, "sessionid=x"), (True, "other=x")):
            request = requests.get("/", headers={"cookie": cookie})
            request.user = SimpleLazyObject(asked)
            assert not facts(request, asks_user=needs).is_authenticated

    def test_our_own_look_at_the_user_does_not_count(self):
        request = requests.get("/", headers={"cookie": "sessionid=x"})
        request.session = SessionStore()

        def user():
            request.session.get("_auth_user_id")
            return User(username="ann")

        request.user = SimpleLazyObject(user)
        assert is_authenticated(request)
        assert not request.session.accessed
        request.session.get("x")
        assert is_authenticated(request)
        assert request.session.accessed

    def test_a_bare_request_has_facts(self):
        found = facts(HttpRequest())
        assert (found.method, found.has_body, found.has_visitor_cookie) == ("", False, False)


@pytest.fixture
def visited():
    request = requests.get("/")
    request.session = SessionStore()
    return request


def used(request, view):
    watch = Watch(request)
    watch.start()
    view(request)
    watch.stop()
    return watch.used


class TestWatch:
    def test_a_view_that_looks_at_nobody(self, visited):
        visited.user = AnonymousUser()
        assert used(visited, lambda request: None) == set()

    def test_session(self, visited):
        assert used(visited, lambda request: request.session.get("x")) == {Personal.SESSION}
        assert visited.session.accessed

    def test_changed_session(self, visited):
        def view(request):
            request.session["x"] = 1

        assert used(visited, view) == {Personal.SESSION, Personal.SESSION_WRITE}

    def test_what_middleware_used_is_not_the_views_and_is_restored(self, visited):
        visited.session.get("x")
        assert used(visited, lambda request: None) == set()
        assert visited.session.accessed

    def test_user_through_the_session(self, visited):
        visited._cached_user = AnonymousUser()
        visited.user = SimpleLazyObject(lambda: visited._cached_user)
        assert used(visited, lambda request: str(request.user)) == {Personal.USER}

    @pytest.mark.parametrize("user", [User(username="ann"), AnonymousUser()])
    @pytest.mark.parametrize("lazy", [True, False])
    def test_user_who_was_known_to_middleware_already(self, visited, user, lazy):
        visited.user = SimpleLazyObject(lambda: user) if lazy else user
        assert visited.user.is_active == user.is_active
        before = visited.user
        assert used(visited, lambda request: request.user.is_authenticated) == {Personal.USER}
        assert visited.user is before
        assert used(visited, lambda request: None) == set()

    def test_user_by_the_async_name(self, visited):
        async def auser():
            return User(username="ann")

        visited.user, visited.auser = User(username="ann"), auser
        seen = []
        assert used(visited, lambda request: seen.append(async_to_sync(request.auser)())) == {Personal.USER}
        assert seen[0].username == "ann"
        assert visited.auser is auser

    def test_user_who_appeared_inside_without_a_session(self, visited):
        def inner(request):
            request.user = User(username="ann")

        assert used(visited, inner) == {Personal.USER}

    def test_user_whom_the_view_put_there_stays(self, visited):
        visited.user = AnonymousUser()
        ann = User(username="ann")

        def login(request):
            request.user = ann

        used(visited, login)
        assert visited.user is ann

    def test_a_logged_in_user_is_told_from_an_anonymous_one(self, visited):
        for user, expected in ((User(username="ann"), True), (AnonymousUser(), False)):
            visited.user = user
            watch = Watch(visited)
            watch.start()
            assert not watch.saw_authenticated
            str(visited.user)
            watch.stop()
            assert watch.saw_authenticated is expected

    def test_csrf_token(self, visited):
        assert Personal.CSRF in used(visited, get_token)

    def test_csp_nonce(self, visited):
        def view(request):
            request._csp_nonce = "nonce"

        assert used(visited, view) == {Personal.CSP_NONCE}

    def test_messages_that_are_shown(self, visited):
        visited._messages = CookieStorage(visited)
        visited._messages._loaded_data = ["hello"]
        assert Personal.MESSAGES in used(visited, lambda request: list(request._messages))

    def test_messages_that_are_added(self, visited):
        visited._messages = CookieStorage(visited)
        assert Personal.MESSAGES in used(visited, lambda request: request._messages.add(20, "hello"))

    @pytest.mark.parametrize("look", [len, list])
    def test_to_ask_for_messages_is_a_look_at_the_visitor(self, visited, look):
        visited._messages = CookieStorage(visited)
        assert used(visited, lambda request: look(request._messages)) == {Personal.SESSION}

    def test_a_page_served_from_an_inner_cache_counts_as_its_view(self, visited):
        assert used(visited, look_again) == {Personal.SESSION}
        assert visited.session.accessed

    def test_several_stretches_add_up(self, visited):
        watch = Watch(visited)
        watch.start()
        visited.session.get("x")
        watch.stop()
        watch.start()
        get_token(visited)
        watch.stop()
        assert {Personal.SESSION, Personal.CSRF} <= watch.used

    def test_a_request_without_session_or_user(self):
        assert used(requests.get("/"), lambda request: None) == set()


class TestResponse:
    def test_what_is_told(self):
        response = HttpResponse(status=201, headers={"ETag": '"x"'})
        response.set_cookie("a", "b")
        found = response_facts(response, frozenset({Personal.USER}), HERE, Locale("de", "UTC"))
        assert (found.status, found.fields.get("etag"), found.sets_cookies) == (201, '"x"', True)
        assert (found.language_changed, found.time_zone_changed, found.is_streaming) == (True, False, False)
        assert found.used == {Personal.USER}

    def test_a_stream_is_not_read(self):
        def never():
            raise AssertionError("read")
            yield

        assert response_facts(StreamingHttpResponse(never()), frozenset(), HERE, HERE).is_streaming


class TestLocale:
    def test_is_what_is_active(self):
        with translation.override("de"), timezone.override("Europe/Paris"):
            assert Locale.active(i18n=True, tz=True) == Locale("de", "Europe/Paris")

    def test_is_none_where_the_site_does_not_use_it(self):
        with translation.override("de"), timezone.override("Europe/Paris"):
            assert Locale.active(i18n=False, tz=False) == Locale(None, None)
