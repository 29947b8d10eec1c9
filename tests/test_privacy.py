"""Never another visitor's page: each way in which a page can be one visitor's own, behind each shell."""

from __future__ import annotations

import itertools

import django
import pytest
from django.contrib import messages
from django.contrib.auth import get_user, login
from django.contrib.auth.models import User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from django.test import Client
from django.urls import path
from django.utils import timezone, translation
from django.utils.functional import SimpleLazyObject
from django.views import View

from cacheplus.decorators import cache_page, vary_on_cookie
from cacheplus.mixins import CacheMixin
from tests.sites import AUTH, FETCH, SESSION, TEMPLATES, UPDATE, USUAL, is_hit, layers, outcome, site, visitor

pytestmark = pytest.mark.django_db

SIGNED = {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}


def mixed(view):
    """The view as the `get` of a class with CacheMixin."""

    class Mixed(CacheMixin, View):
        def get(self, request):
            return view(request)

    return Mixed.as_view()


SHELLS = {
    "pair": (lambda view: view, "pair"),
    "one line": (lambda view: view, "one line"),
    "cache_page": (cache_page(300), "none"),
    "CacheMixin": (mixed, "none"),
    "pair and cache_page": (cache_page(300), "pair"),
    "one line and cache_page": (cache_page(300), "one line"),
}


@pytest.fixture(params=SHELLS)
def serve(request):
    """Serve one view at / behind each shell, with the middleware that a site usually has."""
    wrap, shape = SHELLS[request.param]

    def serve(view, *, between=USUAL, **settings):
        return site(path("", wrap(view)), MIDDLEWARE=layers(shape, *between), **{**SIGNED, **settings})

    serve.shape = shape
    return serve


def with_session(**data):
    """A browser with a session of its own."""
    session = SessionStore()
    session.update(data)
    session.save()
    return visitor(sessionid=session.session_key)


def member(name):
    """A browser that is logged in."""
    client = Client()
    user, _ = User.objects.get_or_create(username=name)
    client.force_login(user)
    return client


def body(client, **extra):
    return client.get("/", **extra).content.decode()


serial = itertools.count()


def nobody(request):
    return HttpResponse(f"page {next(serial)}")


def test_visitors_without_a_session_share(serve):
    with serve(nobody):
        assert body(visitor()) == body(visitor()) == body(visitor(_ga="1"))


def test_a_view_that_looks_at_nobody_is_shared_by_all(serve):
    with serve(nobody):
        assert body(visitor()) == body(with_session(a=1)) == body(visitor(csrftoken="x" * 32))


LOOKS = {
    "session": lambda request: f"cart {request.session.get('cart')}",
    "user": lambda request: f"hello {request.user}",
    "user by the session": lambda request: f"hello {get_user(request)}",
    "template": lambda request: TemplateResponse(request, "user.html"),
}
USER_TEMPLATE = [
    {
        **TEMPLATES[0],
        "OPTIONS": {
            **TEMPLATES[0]["OPTIONS"],
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {
                        "user.html": "hello {{ user }}",
                        "messages.html": "{% if messages %}{% for one in messages %}{{ one }}{% endfor %}{% endif %}.",
                        "form.html": "<form>{% csrf_token %}</form>",
                    },
                )
            ],
        },
    }
]


def looking(look):
    def view(request):
        answer = LOOKS[look](request)
        return answer if isinstance(answer, HttpResponse) else HttpResponse(answer)

    return view


@pytest.mark.parametrize("look", LOOKS)
class TestLooks:
    def test_visitors_without_a_session_share(self, serve, look):
        with serve(looking(look), TEMPLATES=USER_TEMPLATE):
            visitor().get("/")
            assert is_hit(visitor().get("/"))

    def test_the_next_visitor_gets_a_page_of_his_own(self, serve, look):
        with serve(looking(look), TEMPLATES=USER_TEMPLATE):
            ann, bob = member("ann"), member("bob")
            for client in (ann, bob):
                session = client.session
                session["cart"] = client.session["_auth_user_id"]
                session.save()
                client.cookies["sessionid"] = session.session_key
            anonymous = body(visitor())
            pages = [body(client) for client in (ann, bob, visitor(), ann, bob, visitor(_ga="1"))]
            assert pages[0] == pages[3]
            assert pages[1] == pages[4]
            assert pages[2] == pages[5] == anonymous
            assert len({anonymous, pages[0], pages[1]}) == 3

    def test_a_hit_varies_on_the_cookie_as_the_first_answer_did(self, serve, look):
        with serve(looking(look), TEMPLATES=USER_TEMPLATE):
            first, second = visitor().get("/"), visitor().get("/")
            assert is_hit(second)
            assert "Cookie" in first["Vary"]
            assert "Cookie" in second["Vary"]

    def test_a_page_of_an_inner_cache_is_not_shared_by_the_outer_one(self, serve, look):
        with serve(looking(look), TEMPLATES=USER_TEMPLATE):
            anonymous = [body(visitor(_ga=str(number))) for number in range(3)]
            assert len(set(anonymous)) == 1
            assert "ann" in body(member("ann")) or look == "session"
            assert not is_hit(member("ann").get("/"))


class Nosy:
    """Middleware that knows the user before any view asks."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        assert str(request.user) is not None
        return self.get_response(request)


class Token:
    """Middleware that takes a header nobody else knows for a credential."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if name := request.headers.get("X-Token"):
            request.user = User(username=name)
        return self.get_response(request)


NOSY, TOKEN = f"{__name__}.Nosy", f"{__name__}.Token"
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"


def test_a_user_whom_middleware_had_looked_at_before(serve):
    with serve(looking("user"), between=(SESSION, AUTH, NOSY)):
        assert body(member("ann")) == "hello ann"
        assert body(member("bob")) == "hello bob"
        assert body(visitor()) == "hello AnonymousUser"


def test_a_user_of_a_site_that_requires_login(serve):
    with serve(looking("user"), between=(SESSION, AUTH, LOGIN_REQUIRED)):
        assert body(member("ann")) == "hello ann"
        assert body(member("bob")) == "hello bob"


def test_a_user_by_a_credential_that_nobody_declared(serve):
    with serve(looking("user"), between=(SESSION, AUTH, TOKEN)):
        for name in ("ann", "bob"):
            assert body(visitor(), headers={"x-token": name}) == f"hello {name}"
        assert body(visitor()) == "hello AnonymousUser"


@pytest.mark.parametrize("shell", ["cache_page", "CacheMixin"])
def test_a_condition_that_looks_at_the_user_hides_no_look_of_the_view(shell):
    view = looking("user")
    if shell == "cache_page":
        cached = cache_page(300, condition=lambda request: request.user.username != "nobody")(view)
    else:

        class Mixed(CacheMixin, View):
            def should_cache(self, request):
                return request.user.username != "nobody"

            def get(self, request):
                return view(request)

        cached = Mixed.as_view()
    with site(path("", cached), MIDDLEWARE=layers("none", SESSION, AUTH), **SIGNED):
        assert body(member("ann")) == "hello ann"
        assert body(member("bob")) == "hello bob"
        assert body(visitor()) == "hello AnonymousUser"


def test_a_changed_session_is_not_shared(serve):
    def view(request):
        request.session["seen"] = True
        return nobody(request)

    with serve(view):
        first = visitor().get("/")
        second = visitor().get("/")
        assert first.content != second.content
        assert first.cookies["sessionid"].value != "x"
        assert "detail=" not in outcome(first)


def test_who_logs_in_is_alone(serve):
    def view(request):
        user, _ = User.objects.get_or_create(username="ann")
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return HttpResponse(f"hello {request.user}")

    with serve(view):
        visitor().get("/")
        assert not is_hit(visitor().get("/"))


class TestCSRF:
    @staticmethod
    def form(request):
        return TemplateResponse(request, "form.html")

    def test_each_visitor_has_a_token_of_his_own_and_the_cookie_for_it(self, serve):
        with serve(self.form, TEMPLATES=USER_TEMPLATE):
            first, second = visitor().get("/"), visitor().get("/")
            assert first.content != second.content
            assert {"csrftoken"} <= set(first.cookies) & set(second.cookies)

    def test_in_the_session(self, serve):
        with serve(self.form, TEMPLATES=USER_TEMPLATE, CSRF_USE_SESSIONS=True):
            first, second = visitor().get("/"), visitor().get("/")
            assert first.content != second.content

    def test_by_the_bare_function(self, serve):
        with serve(lambda request: HttpResponse(get_token(request))):
            assert body(visitor()) != body(visitor())

    def test_a_visitor_who_has_the_cookie_gets_it_nowhere_else(self, serve):
        with serve(self.form, TEMPLATES=USER_TEMPLATE):
            first = visitor()
            body(first)
            again = body(first)
            assert body(visitor()) != again
            assert "csrfmiddlewaretoken" in again


class TestMessages:
    @staticmethod
    def page(request):
        if "say" in request.GET:
            messages.info(request, f"secret of {request.GET['say']}")
            return HttpResponse("said")
        return TemplateResponse(request, "messages.html")

    @pytest.mark.parametrize("storage", ["cookie.CookieStorage", "session.SessionStorage", "fallback.FallbackStorage"])
    def test_reach_the_visitor_they_are_meant_for_and_nobody_else(self, serve, storage):
        setting = {"MESSAGE_STORAGE": f"django.contrib.messages.storage.{storage}"}
        with serve(self.page, TEMPLATES=USER_TEMPLATE, **setting):
            assert body(visitor()) == "."
            assert is_hit(visitor().get("/"))
            ann, bob = visitor(), visitor()
            ann.get("/", {"say": "ann"})
            bob.get("/", {"say": "bob"})
            assert body(ann) == "secret of ann."
            assert body(bob) == "secret of bob."
            assert body(visitor()) == "."
            assert body(ann) == "."


@pytest.mark.skipif(django.VERSION < (6, 0), reason="CSP came with Django 6.0")
def test_csp_nonces_are_used_once(serve):
    from django.utils.csp import CSP  # noqa: PLC0415 - not there in 5.2

    def view(request):
        return HttpResponse(str(request._csp_nonce))

    policy = {"script-src": [CSP.SELF, CSP.NONCE]}
    csp = "django.middleware.csp.ContentSecurityPolicyMiddleware"
    with serve(view, between=(csp, *USUAL), SECURE_CSP=policy):
        for _ in range(2):
            response = visitor().get("/")
            assert f"nonce-{response.content.decode()}" in response["Content-Security-Policy"]
        assert body(visitor()) != body(visitor())


class Nonces:
    """Middleware that makes a nonce when a view asks for one, in the way of django-csp."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        def nonce():
            if not getattr(request, "_csp_nonce", None):
                request._csp_nonce = f"nonce{next(serial)}"
            return request._csp_nonce

        request.csp_nonce = SimpleLazyObject(nonce)
        response = self.get_response(request)
        if used := getattr(request, "_csp_nonce", None):
            response.headers["Content-Security-Policy"] = f"script-src 'nonce-{used}'"
        return response


def test_nonces_of_django_csp_are_used_once(serve):
    with serve(lambda request: HttpResponse(str(request.csp_nonce)), between=(f"{__name__}.Nonces", *USUAL)):
        bodies = set()
        for _ in range(3):
            response = visitor().get("/")
            assert f"'nonce-{response.content.decode()}'" in response["Content-Security-Policy"]
            bodies.add(response.content)
        assert len(bodies) == 3


def test_a_page_that_asks_for_no_nonce_is_shared(serve):
    with serve(nobody, between=(f"{__name__}.Nonces", *USUAL)):
        assert body(visitor()) == body(visitor())


class TestCookies:
    @staticmethod
    def view(request):
        response = nobody(request)
        response.set_cookie("visitor", next(serial))
        return response

    def test_are_not_given_to_somebody_else(self, serve):
        with serve(self.view):
            first, second = visitor().get("/"), visitor().get("/")
            assert first.cookies["visitor"].value != second.cookies["visitor"].value

    def test_are_stored_where_the_site_says_so(self, serve):
        with serve(self.view, between=(), CACHEPLUS={"STORE_SET_COOKIE": True}):
            assert visitor().get("/").cookies["visitor"].value == visitor().get("/").cookies["visitor"].value


@pytest.mark.parametrize(
    "credential",
    [
        {"headers": {"authorization": "Bearer ann"}},
        {"headers": {"x-api-key": "ann"}},
        {"headers": {"x-auth-token": "ann"}},
        {"headers": {"proxy-authorization": "Basic ann"}},
        {"REMOTE_USER": "ann"},
    ],
    ids=lambda each: next(iter(each.get("headers", each))),
)
class TestCredentials:
    def test_what_is_made_for_one_reaches_nobody_else(self, serve, credential):
        with serve(nobody):
            first = body(visitor(), **credential)
            assert body(visitor()) != first
            assert body(visitor(), **credential) != first

    def test_what_is_made_for_all_does_not_answer_one(self, serve, credential):
        with serve(nobody):
            first = body(visitor())
            assert body(visitor()) == first
            assert body(visitor(), **credential) != first


def test_a_get_with_a_body_is_nobody_elses(serve):
    with serve(lambda request: HttpResponse(request.body + b"!")):
        assert visitor().generic("GET", "/", b"ann").content == b"ann!"
        assert visitor().generic("GET", "/", b"bob").content == b"bob!"
        assert visitor().get("/").content == b"!"


class TestLocale:
    def test_a_view_that_activates_a_language_is_not_shared_in_it(self, serve):
        def view(request):
            translation.activate(request.GET.get("l", "en"))
            return HttpResponse(translation.get_language())

        with translation.override("en"), serve(view, between=()):
            for _ in range(2):
                assert visitor().get("/", {"l": "de"}).content == b"de"
                translation.activate("en")
            assert not is_hit(visitor().get("/", {"l": "de"}))

    def test_a_view_that_activates_a_zone_is_not_shared_in_it(self, serve):
        zones = itertools.cycle(["Europe/Paris", "Asia/Tokyo"])

        def view(request):
            timezone.activate(next(zones))
            return HttpResponse(timezone.get_current_timezone_name())

        with timezone.override("UTC"), serve(view, between=()):
            answers = []
            for _ in range(2):
                answers.append(body(visitor()))
                timezone.activate("UTC")
            assert answers == ["Europe/Paris", "Asia/Tokyo"]

    def test_each_language_has_a_page(self, serve):
        with translation.override("en"), serve(lambda request: HttpResponse(translation.get_language())):
            for _ in range(2):
                for language in ("de", "en", "fr"):
                    response = visitor().get("/", headers={"accept-language": language})
                    assert response.content.decode() == language
            assert is_hit(visitor().get("/", headers={"accept-language": "de,en;q=0.5"}))
            assert visitor(django_language="fr").get("/").content == b"fr"

    @pytest.mark.parametrize("kind", ["language", "zone"])
    def test_what_middleware_activates_only_inside_is_not_taken_for_the_default(self, serve, kind):
        def view(request):
            return HttpResponse(f"{translation.get_language()} {timezone.get_current_timezone_name()}")

        def choosing(which):
            return {"headers": {f"x-{kind}": which}}

        values = {"language": ("de", "fr"), "zone": ("Europe/Paris", "Asia/Tokyo")}[kind]
        with translation.override("en"), serve(view, between=(f"{__name__}.Overriding",)):
            # The one line cannot know what is chosen inside it: it only keeps its pages for those it expects.
            for _ in range(1 if serve.shape == "one line" else 2):
                for value in values:
                    assert value in body(visitor(), **choosing(value))
                assert body(visitor()) == "en UTC"


class Overriding:
    """Middleware that chooses language and time zone by a header, for as long as the view runs."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        language, zone = request.headers.get("X-Language", "en"), request.headers.get("X-Zone", "UTC")
        with translation.override(language), timezone.override(zone):
            return self.get_response(request)


@pytest.mark.parametrize("shape", ["pair", "cache_page"])
def test_a_page_in_the_language_that_middleware_activates_inside_is_cached(shape):
    wrap, layout = SHELLS[shape]
    with (
        translation.override("en"),
        site(path("", wrap(nobody)), MIDDLEWARE=layers(layout, f"{__name__}.Overriding"), **SIGNED),
    ):
        for value in ("de", "fr", "en"):
            first = body(visitor(), headers={"x-language": value})
            assert body(visitor(), headers={"x-language": value}) == first


def test_public_is_for_everybody():
    view = cache_page(300, public=True)(looking("user"))
    with site(path("", view), MIDDLEWARE=[SESSION, AUTH], **SIGNED):
        assert body(member("ann")) == "hello ann"
        assert body(visitor()) == "hello ann"


def test_share_authenticated_still_tells_visitors_apart():
    with site(
        path("", looking("user")),
        MIDDLEWARE=[UPDATE, SESSION, AUTH, FETCH],
        CACHEPLUS={"SHARE_AUTHENTICATED": True},
        **SIGNED,
    ):
        ann, bob = member("ann"), member("bob")
        for client, name in ((ann, "ann"), (bob, "bob")):
            assert body(client) == f"hello {name}"
        response = ann.get("/")
        assert is_hit(response)
        assert response.content == b"hello ann"
        assert body(visitor()) == "hello AnonymousUser"


def test_a_session_that_is_saved_on_every_request_is_nobody_elses(serve):
    with serve(nobody, SESSION_SAVE_EVERY_REQUEST=True):
        ann, bob = with_session(name="ann"), with_session(name="bob")
        for client, name in ((ann, "ann"), (bob, "bob")):
            response = client.get("/")
            if "sessionid" in response.cookies:
                session = SessionStore(response.cookies["sessionid"].value)
                assert session["name"] == name


COOKIE_LOOKS = {
    "item": lambda request: request.COOKIES["sessionid"] if request.COOKIES.get("sessionid") else "nobody",
    "get": lambda request: request.COOKIES.get("sessionid", "nobody"),
    "all": lambda request: dict(request.COOKIES).get("sessionid", "nobody"),
    "unpacked": lambda request: {**request.COOKIES}.get("sessionid", "nobody"),
    "items": lambda request: str(sorted(request.COOKIES.items()) or "nobody"),
    "text": lambda request: str(request.COOKIES or "nobody"),
}


@pytest.mark.parametrize("look", COOKIE_LOOKS)
def test_a_view_that_reads_the_cookie_of_the_session_looks_at_the_visitor(serve, look):
    with serve(vary_on_cookie(lambda request: HttpResponse(COOKIE_LOOKS[look](request)))):
        assert "one" in body(visitor(sessionid="one"))
        assert "two" in body(visitor(sessionid="two"))
        assert body(visitor()) == "nobody"
        assert is_hit(visitor().get("/"))


def test_a_view_that_asks_whether_there_is_a_session_cookie_looks_at_the_visitor():
    @cache_page(300)
    @vary_on_cookie
    def view(request):
        return HttpResponse(str("sessionid" in request.COOKIES))

    with site(path("", view), MIDDLEWARE=[SESSION]):
        assert [body(visitor(sessionid="one")), body(visitor())] == ["True", "False"]
