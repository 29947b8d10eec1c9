"""A cached form: each visitor has a token of his own in it, and can post it."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from django.test import Client
from django.urls import path
from django.views import View

from cacheplus.decorators import cache_page
from cacheplus.mixins import CacheMixin
from tests.sites import AUTH, CONDITIONAL, CSRF, FETCH, GZIP, ONE_LINE, SESSION, TEMPLATES, UPDATE, Page, outcome, site

pytestmark = pytest.mark.django_db

FORM = """<p>{{ request.runs }}<form method=post>{% csrf_token %}</form>
<script>var token = "{{ csrf_token }}"</script>"""
FORMS = [
    {
        **TEMPLATES[0],
        "OPTIONS": {
            **TEMPLATES[0]["OPTIONS"],
            "loaders": [("django.template.loaders.locmem.Loader", {"form.html": FORM})],
        },
    }
]
INSIDE = (GZIP, CONDITIONAL, SESSION, CSRF, AUTH)
OUTER = {"none": INSIDE, "pair": (UPDATE, *INSIDE, FETCH), "one line": (ONE_LINE, *INSIDE)}


def form(request):
    if request.method == "POST":
        return HttpResponse("posted")
    return TemplateResponse(request, "form.html")


def by_decorator(view):
    return cache_page(300, fill_csrf=True)(view)


def by_mixin(view):
    class Mixed(CacheMixin, View):
        cache_fill_csrf = True

        def get(self, request):
            return view(request)

        post = get

    return Mixed.as_view()


@pytest.fixture(params=[by_decorator, by_mixin])
def serve(request):
    def serve(view, outer="none", **settings):
        between = list(OUTER[outer])
        return site(path("", request.param(view)), **{"MIDDLEWARE": between, "TEMPLATES": FORMS, **settings})

    return serve


def browser():
    return Client(enforce_csrf_checks=True)


def token_of(response):
    return response.content.decode().partition('value="')[2].partition('"')[0]


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("in_session", [False, True])
def test_both_visitors_of_a_cached_form_can_post_it(serve, outer, in_session):
    page = Page(form)
    setting = {"CSRF_USE_SESSIONS": in_session, "SESSION_ENGINE": "django.contrib.sessions.backends.db"}
    with serve(page, outer, **setting):
        ann, bob = browser(), browser()
        shown = {client: client.get("/") for client in (ann, bob)}
        assert page.runs == 1
        tokens = [token_of(response) for response in shown.values()]
        assert len(tokens[0]) == len(tokens[1]) == 64
        assert tokens[0] != tokens[1]
        for client, response in shown.items():
            name = "sessionid" if in_session else "csrftoken"
            assert response.cookies[name].value
            assert client.post("/", {"csrfmiddlewaretoken": token_of(response)}).content == b"posted"
        assert bob.post("/", {"csrfmiddlewaretoken": tokens[0]}).status_code == 403


@pytest.mark.parametrize("outer", OUTER)
def test_each_place_of_the_page_is_filled(serve, outer):
    with serve(form, outer):
        browser().get("/")
        client = browser()
        hit = client.get("/")
        secret = client.cookies["csrftoken"].value
        text = hit.content.decode()
        assert text.count(token_of(hit)) == 2
        assert secret not in text
        for _ in range(2):
            again = client.get("/")
            assert client.post("/", {"csrfmiddlewaretoken": token_of(again)}).content == b"posted"


@pytest.mark.parametrize("outer", OUTER)
def test_neither_a_browser_nor_a_cdn_may_use_it_again_without_asking(serve, outer):
    with serve(form, outer):
        for _ in range(3):
            response = browser().get("/")
            assert response["Cache-Control"] == "private, no-cache"
            assert "Expires" not in response
            assert "Cookie" in response["Vary"]


def test_a_condition_of_the_client_is_not_answered_with_an_old_token(serve):
    with serve(form):
        client = browser()
        etag = client.get("/").headers.get("ETag", '"x"')
        response = client.get("/", headers={"if-none-match": etag})
        assert response.status_code == 200
        assert token_of(response)


def test_a_logged_in_visitor_is_nobody_else(serve):
    def view(request):
        return HttpResponse(f'{request.user} value="{get_token(request)}"')

    with serve(view):
        first, second, ann = browser(), browser(), browser()
        ann.force_login(User.objects.create(username="ann"))
        assert b"AnonymousUser" in first.get("/").content
        assert outcome(second.get("/")).startswith("hit")
        # The cookie for the token makes nobody of him who has it.
        assert outcome(second.get("/")).startswith("hit")
        assert b"ann" in ann.get("/").content
        assert b"AnonymousUser" in second.get("/").content


def test_a_page_without_a_token_that_can_be_seen_is_not_stored(serve):
    def view(request):
        return HttpResponse(get_token(request)[::-1])

    with serve(view):
        assert "stored" not in outcome(browser().get("/"))


def test_without_the_middleware_nothing_is_stored(serve):
    with serve(form, MIDDLEWARE=[SESSION]):
        assert "stored" not in outcome(browser().get("/"))


def test_a_page_that_needs_no_token_is_stored_as_any_other(serve):
    with serve(Page()):
        assert "max-age=300" in browser().get("/")["Cache-Control"]
        assert "max-age=300" in browser().get("/")["Cache-Control"]


def test_by_default_a_form_is_not_stored():
    with site(path("", cache_page(300)(form)), MIDDLEWARE=list(INSIDE), TEMPLATES=FORMS):
        assert "stored" not in outcome(browser().get("/"))
        assert django_settings.CSRF_COOKIE_NAME in browser().get("/").cookies
