"""{% load cacheplus %}: what the tag takes and refuses, which fragments are shared, and what a broken cache costs."""

from __future__ import annotations

import logging

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import caches
from django.core.cache.utils import make_template_fragment_key
from django.http import HttpResponse
from django.template import TemplateSyntaxError, engines
from django.template.response import TemplateResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from django.utils.safestring import mark_safe

from cacheplus import cache_page, expire_fragment, expire_tags
from cacheplus.templatetags.cacheplus import _warn_of_token
from tests.sites import ProbedCache, is_hit, locmem, probed, site, visitor

requests = RequestFactory()


@pytest.fixture(autouse=True)
def here():
    ProbedCache.reset()
    with site(CACHES={"default": locmem(), "other": locmem()}):
        yield
    ProbedCache.reset()


def render(tag, body="{{ value }}", request=None, **context):
    template = "{% load cacheplus %}{% cache " + tag + " %}" + body + "{% endcache %}"
    return engines["django"].from_string(template).render(context, request)


class Odd:
    """Nothing but its text tells what it is."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text


class TestCache:
    def test_keeps_the_fragment(self):
        assert [render("60 part", value=value) for value in (1, 2)] == ["1", "1"]

    def test_under_djangos_key(self):
        render("60 part 'a' number", value=1, number=5)
        assert caches["default"].get(make_template_fragment_key("part", ["a", 5])) == "1"

    def test_each_variant_by_itself(self):
        for _ in range(2):
            assert [render("60 part user|upper", value=user, user=user) for user in ("a", "b")] == ["a", "b"]

    def test_of_arguments_that_read_alike_is_one_as_in_django(self):
        assert [render("60 part of", value=value, of=of) for value, of in ((1, None), (2, "None"))] == ["1", "1"]

    @override_settings(CACHEPLUS={"EXACT_FRAGMENT_KEYS": True})
    def test_tells_arguments_of_other_types_apart_where_the_site_says_so(self):
        alike = [None, "None", 1, "1", True, Odd("1"), Odd("2")]
        for _ in range(2):
            assert [render("60 part of", value=at, of=of) for at, of in enumerate(alike)] == list("0123456")
        assert render("60 part of", value="new", of=mark_safe("None")) == "1"
        expire_fragment("part", ["None"])
        assert [render("60 part of", value="new", of=of) for of in alike[:3]] == ["0", "new", "2"]
        expire_fragment("part")
        assert [render("60 part of", value="new", of=of) for of in alike] == ["new"] * 7

    def test_with_a_timeout_from_a_variable(self):
        for timeout, expected in ((60, "1"), ("60", "1"), (None, "1"), (0, "2"), (-1, "2")):
            name = f"part-{timeout}"
            assert [render(f"t {name}", value=value, t=timeout) for value in (1, 2)][1] == expected
        assert caches["default"].ttl(make_template_fragment_key("part-None")) is None

    def test_using_an_alias(self):
        render('60 part using="other"', value=1)
        assert caches["other"].get(make_template_fragment_key("part")) == "1"
        assert caches["default"].get(make_template_fragment_key("part")) is None
        assert render("60 part using=alias", value=2, alias="other") == "1"

    def test_uses_the_alias_for_fragments_where_there_is_one(self):
        with site(CACHES={"default": locmem(), "template_fragments": locmem()}):
            render("60 part", value=1)
            assert caches["template_fragments"].get(make_template_fragment_key("part")) == "1"

    def test_works_on_djangos_backends(self):
        entry = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": locmem()["LOCATION"]}
        with site(CACHES={"default": entry}):
            assert [render("60 part tags='news'", value=value) for value in (1, 2)] == ["1", "1"]

    def test_what_is_safe_stays_safe_and_what_is_not_is_escaped_once(self):
        for _ in range(2):
            assert render("60 part", "<b>{{ value }}</b>", value="<i>") == "<b>&lt;i&gt;</b>"

    def test_a_stored_value_that_is_no_text_is_a_miss(self):
        caches["default"].set(make_template_fragment_key("part"), {"a": 1})
        assert render("60 part", value=1) == "1"

    def test_an_empty_fragment_is_a_hit(self):
        render("60 part", value="")
        assert render("60 part", value="x") == ""


class TestTags:
    def test_may_be_an_empty_list(self):
        assert [render("60 part tags=none", value=value, none=[]) for value in (1, 2)] == ["1", "1"]

    @pytest.mark.parametrize("tags", ['"a b"', "names", "names|slice:':2'"])
    def test_end_the_fragment(self, tags):
        for tag in ("a", "b"):
            assert render(f"60 part tags={tags}", value=1, names=["a", "b"]) == "1"
            assert expire_tags(tag)
            assert render(f"60 part tags={tags}", value=2, names=["a", "b"]) == "2"
            expire_fragment("part")

    def test_stand_before_or_behind_the_alias(self):
        for tag in ('60 one tags="a" using="other"', '60 two using="other" tags="a"'):
            render(tag, value=1)
            assert expire_tags("a", cache="other")
            assert render(tag, value=2) == "2"

    def test_of_an_inner_fragment_end_the_outer_one(self):
        body = "{% cache 60 inner tags='news' %}{{ value }}{% endcache %}"
        render("60 outer", body, value=1)
        assert expire_tags("news")
        assert render("60 outer", body, value=2) == "2"

    def test_of_an_inner_fragment_that_was_stored_before_end_the_outer_one(self):
        body = "{% cache 60 inner tags='news' %}{{ value }}{% endcache %}"
        render("60 first", body, value=1)
        render("60 second", body, value=2)
        assert expire_fragment("inner")
        assert render("60 second", body, value=3) == "3"

    def test_of_an_inner_fragment_on_another_alias_end_the_outer_one(self):
        body = "{% cache 60 inner tags='news' using='other' %}{{ value }}{% endcache %}"
        render("60 outer", body, value=1)
        assert expire_tags("news")
        assert render("60 outer", body, value=2) == "2"


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("", "at least 2 arguments"),
        ("60", "at least 2 arguments"),
        ("unknown part", "non-integer timeout value: ''"),
        ("60|add:unknown part", "unknown variable"),
        ("text part", "non-integer timeout value: 'text'"),
        ("60 part using='nowhere'", "Invalid cache name specified for cache tag: 'nowhere'"),
        ("60 part using=unknown", "Invalid cache name specified for cache tag: ''"),
        ("60 part tags=unknown", "without a name"),
        ("60 part tags=''", "without a name"),
        ("60 part tags=number", "no list of names"),
        ("60 part tags=numbers", "no list of names"),
        ("60 part tags='a' tags='b'", "tags= twice"),
    ],
)
def test_misuse(tag, message):
    with pytest.raises(TemplateSyntaxError, match=message):
        render(tag, value=1, text="text", number=5, numbers=[5])


def test_djangos_own_library_works_beside_ours():
    template = "{% load cache %}{% cache 60 part %}{{ value }}{% endcache %}"
    found = [engines["django"].from_string(template).render({"value": value}) for value in (1, 2)]
    assert found == ["1", "1"]


class TestToken:
    """A CSRF token is one visitor's own."""

    @pytest.fixture(autouse=True)
    def anew(self):
        _warn_of_token.cache_clear()

    @staticmethod
    def request():
        request = requests.get("/")
        request.user = AnonymousUser()
        return request

    @pytest.mark.parametrize(
        "body", ["{% csrf_token %}", "{{ csrf_token }}", "{% cache 60 inner %}{% csrf_token %}{% endcache %}"]
    )
    def test_is_not_stored(self, body, caplog):
        with caplog.at_level(logging.WARNING, "cacheplus"):
            first, second = (render("60 part", body, self.request()) for _ in range(2))
        assert first != second
        assert caches["default"].get(make_template_fragment_key("part")) is None
        assert [record for record in caplog.records if "'part'" in record.getMessage()][1:] == []
        assert "'part'" in caplog.text
        assert "CSRF" in caplog.text

    @pytest.mark.parametrize("before", ["{% csrf_token %}", "{{ csrf_token }}"])
    def test_is_not_stored_where_the_page_had_used_it_already(self, before):
        def page():
            source = "{% load cacheplus %}" + before + "|{% cache 60 part %}{% csrf_token %}{% endcache %}"
            return engines["django"].from_string(source).render({}, self.request()).partition("|")[2]

        assert page() != page()

    def test_outside_of_the_fragment_does_no_harm(self):
        source = "{% load cacheplus %}{% csrf_token %}|{% cache 60 part %}{{ value }}{% endcache %}"
        request = self.request()
        found = [
            engines["django"].from_string(source).render({"value": value}, request).partition("|")[2]
            for value in (1, 2)
        ]
        assert found == ["1", "1"]
        assert request.META["CSRF_COOKIE_NEEDS_UPDATE"]

    def test_that_is_not_used_does_no_harm(self):
        request = self.request()
        assert [render("60 part", "{{ value }}", request, value=value) for value in (1, 2)] == ["1", "1"]
        assert "CSRF_COOKIE_NEEDS_UPDATE" not in request.META

    def test_in_the_fragment_of_a_page_still_sends_the_cookie(self):
        request = self.request()
        render("60 part", "{% csrf_token %}", request)
        assert request.META["CSRF_COOKIE_NEEDS_UPDATE"]

    def test_given_to_a_template_without_a_request(self):
        assert "abc" in render("60 part", "{% csrf_token %}", csrf_token="abc")
        assert "xyz" in render("60 part", "{% csrf_token %}", csrf_token="xyz")


ERRORS = [ConnectionError("gone"), RuntimeError("bug")]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
class TestFaults:
    def test_each_call_may_fail(self, error):
        with site(CACHES={"default": probed()}):
            for fails_at in (None, 1, 2, 3, 4, 5, 6):
                ProbedCache.reset(error, fails_at)
                assert [render(f"60 part-{fails_at} tags='a'", value=7) for _ in range(2)] == ["7", "7"]

    def test_a_page_on_a_sound_cache_ends_with_the_fragment_that_could_not_be_read(self, error):
        values = {"value": 1}
        source = "{% load cacheplus %}{% cache 60 part tags='news' using='other' %}{{ value }}{% endcache %}"

        def view(request):
            return TemplateResponse(request, engines["django"].from_string(source), values)

        for fails_at in (None, 1, 2, 3, 4, 5):
            with site(path("", cache_page(60)(view)), CACHES={"default": locmem(), "other": probed()}):
                values["value"] = 1
                ProbedCache.reset(error, fails_at)
                assert visitor().get("/").content == b"1"
                ProbedCache.reset()
                was_stored = is_hit(visitor().get("/"))
                values["value"] = 2
                assert expire_tags("news") or not was_stored
                assert visitor().get("/").content == b"2"

    def test_an_error_of_the_template_is_its_own(self, error):
        class Bad:
            def __str__(self):
                raise error

        with pytest.raises(type(error)):
            render("60 part", value=Bad())
        assert render("60 part", value=1) == "1"


def test_a_view_that_is_no_template_can_be_ended_by_a_tag_of_the_same_name():
    with site(path("", cache_page(60, tags=["news"])(lambda request: HttpResponse("x")))):
        visitor().get("/")
        render("60 part tags='news'", value=1)
        assert expire_tags("news")
        assert not is_hit(visitor().get("/"))
        assert render("60 part tags='news'", value=2) == "2"
