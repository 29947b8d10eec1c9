import pytest
from django.core.cache import caches
from django.db import transaction
from django.http import HttpResponse
from django.template.response import TemplateResponse
from django.test import Client
from django.urls import path

from cacheplus.decorators import cache_page, untracked
from testproject.blog.factories import TagFactory
from testproject.blog.models import Tag
from tests.sites import ONE_LINE, ProbedCache, locmem, outcome, probed, site
from tests.tables.tracking import tracking

pytestmark = pytest.mark.django_db(transaction=True)

FRAGMENT = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {"page": "{% load cacheplus %}{% cache 60 tags %}{{ tags.count }}{% endcache %}"},
                )
            ],
            "libraries": {"cacheplus": "cacheplus.templatetags.cacheplus"},
        },
    }
]


def count(request):
    return HttpResponse(str(Tag.objects.count()))


async def acount(request):
    return HttpResponse(str(await Tag.objects.acount()))


def lazily(request):
    return TemplateResponse(request, "page", {"tags": Tag.objects})


def said(client):
    return client.get("/").content.decode()


@pytest.mark.parametrize("view", [count, acount, lazily])
@pytest.mark.parametrize("shape", ["middleware", "decorator"])
def test_a_page_expires_with_its_tables(view, shape):
    layers = {"MIDDLEWARE": [ONE_LINE]} if shape == "middleware" else {}
    wrap = cache_page(60) if shape == "decorator" else lambda view: view

    with tracking(), site(path("", wrap(view)), CACHEPLUS={"TRACK_TABLES": True}, TEMPLATES=FRAGMENT, **layers):
        assert [said(Client()), outcome(Client().get("/"))[:3]] == ["0", "hit"]

        TagFactory()

        assert said(Client()) == "1"


def test_a_page_expires_with_the_tables_of_its_fragment_on_another_alias():
    stores = {"default": locmem(), "template_fragments": locmem()}
    routes = path("", lazily)
    settings = {"CACHEPLUS": {"TRACK_TABLES": True}, "TEMPLATES": FRAGMENT, "MIDDLEWARE": [ONE_LINE], "CACHES": stores}

    with tracking(), site(routes, **settings):
        said(Client())
        caches["default"].clear()
        # The fragment is there already.
        assert said(Client()) == "0"

        TagFactory()

        assert said(Client()) == "1"


@pytest.mark.parametrize("view", [count, acount, lazily])
def test_a_view_may_be_left_out(view):
    with (
        tracking(),
        site(path("", cache_page(60)(untracked(view))), CACHEPLUS={"TRACK_TABLES": True}, TEMPLATES=FRAGMENT),
    ):
        said(Client())
        TagFactory()

        # A fragment is tracked for itself, and takes the page along.
        assert said(Client()) == ("1" if view is lazily else "0")


def test_a_view_that_is_left_out_is_so_in_its_template_too():
    def lists(request):
        return TemplateResponse(request, "page", {"tags": Tag.objects})

    plain = [
        {
            **FRAGMENT[0],
            "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"page": "{{ tags.count }}"})]},
        }
    ]

    with (
        tracking(),
        site(path("", cache_page(60)(untracked(lists))), CACHEPLUS={"TRACK_TABLES": True}, TEMPLATES=plain),
    ):
        said(Client())
        TagFactory()

        assert said(Client()) == "0"


def test_leaving_out_ends_with_the_function():
    @untracked
    def left_out():
        return Tag.objects.exists()

    def view(request):
        left_out()
        return count(request)

    with tracking(), site(path("", cache_page(60)(view)), CACHEPLUS={"TRACK_TABLES": True}):
        said(Client())
        TagFactory()

        assert said(Client()) == "1"


def reason(view, **settings):
    given = {"TRACK_TABLES": True, "CACHE_STATUS": "detail"}
    with tracking(), site(path("", cache_page(60)(view)), CACHEPLUS=given, **settings):
        return outcome(Client().get("/"))


def test_a_page_says_why_it_was_not_stored():
    def of_something_else(request):
        list(Tag.objects.raw("SELECT 1 AS id FROM sqlite_master"))
        return HttpResponse()

    @transaction.atomic
    def of_its_own_change(request):
        TagFactory()
        return count(request)

    assert reason(of_something_else) == "fwd=uri-miss; detail=untracked"
    assert reason(of_its_own_change) == "fwd=uri-miss; detail=uncommitted"
    assert reason(count) == "fwd=uri-miss; stored"


def test_in_a_transaction_around_it_the_decorator_does_not_store_on_sqlite_and_the_middleware_does():
    def in_a_transaction(view):
        def viewed(request):
            with transaction.atomic():
                Tag.objects.exists()
                return view(request)

        return viewed

    given = {"TRACK_TABLES": True, "CACHE_STATUS": "detail"}
    shapes = {"detail=snapshot": (cache_page(60)(count), []), "stored": (count, [ONE_LINE])}

    for told, (view, layers) in shapes.items():
        with tracking(), site(path("", in_a_transaction(view)), CACHEPLUS=given, MIDDLEWARE=layers):
            assert outcome(Client().get("/")) == f"fwd=uri-miss; {told}"


def test_a_page_costs_two_calls_more_when_it_is_stored_and_one_more_when_it_is_served():
    def plain(request):
        return HttpResponse("page")

    def calls(view):
        with (
            tracking(),
            site(path("", cache_page(60)(view)), CACHEPLUS={"TRACK_TABLES": True}, CACHES={"default": probed()}),
        ):
            told = []
            said(Client())
            caches["default"].expire_tags("page: /")
            for _ in range(2):
                ProbedCache.reset()
                said(Client())
                told.append(list(ProbedCache.calls))
            return told

    (stored, served), (stored_plain, served_plain) = calls(count), calls(plain)

    assert (served, served_plain) == (["read", "read"], ["read"])
    assert len(stored) <= len(stored_plain) + 1
