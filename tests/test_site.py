"""What the settings of the site say to the page cache."""

from __future__ import annotations

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.http import HttpResponse
from django.middleware.locale import LocaleMiddleware
from django.test import RequestFactory
from django.urls import path
from django.utils import timezone, translation

from cacheplus.pages.facts import Locale
from cacheplus.site import expected_locale
from cacheplus.site import site as read_site
from tests.sites import LOCALE, ONE_LINE, UPDATE, Page, is_hit, site, visitor

requests = RequestFactory()


class TestSite:
    @pytest.mark.parametrize(
        ("settings", "attribute", "expected"),
        [
            ({"CACHE_MIDDLEWARE_SECONDS": 5}, "rules.default_timeout", 5),
            ({"CACHE_MIDDLEWARE_SECONDS": None}, "rules.default_timeout", None),
            ({"CACHEPLUS": {"STORE_SET_COOKIE": True}}, "rules.store_set_cookie", True),
            ({"CACHEPLUS": {"SHARE_AUTHENTICATED": True}}, "rules.share_authenticated", True),
            ({"CACHEPLUS": {"PREFIX_DEPTH": 0}}, "prefix_depth", 0),
            ({"CACHEPLUS": {"CREDENTIALS": ["X-One", "REMOTE_USER"]}}, "credentials", ("HTTP_X_ONE", "REMOTE_USER")),
            ({"CACHEPLUS": {"STATUSES": {404: 30}}}, "rules.statuses", {404: 30}),
            ({"CACHEPLUS": {"TARGETED_FIELDS": ["A"]}}, "rules.targeted_fields", ("A",)),
            ({"CACHEPLUS": {"HEURISTIC_FRESHNESS": True}}, "rules.heuristic", True),
            ({"CACHEPLUS": {"HONOR_REQUEST_DIRECTIVES": True}}, "rules.honor_request", True),
            ({"CACHEPLUS": {"STALE": 5}}, "rules.stale", 5),
            ({"CACHEPLUS": {"STALE_IF_ERROR": 6}}, "rules.stale_if_error", 6),
            ({"CACHEPLUS": {"EXPIRE_ON_UNSAFE": False}}, "expire", None),
            ({"USE_I18N": False}, "uses_i18n", False),
            ({"USE_TZ": False}, "uses_tz", False),
            ({"CACHEPLUS": {"CACHE_STATUS": None}}, "sends_status", False),
            ({"CACHEPLUS": {"CACHE_STATUS": "plain"}}, "sends_detail", False),
            ({"CACHEPLUS": {"CACHE_STATUS": "detail"}}, "sends_detail", True),
            ({"DEBUG": False}, "sends_detail", False),
            ({"DEBUG": True}, "sends_detail", True),
            (
                {"SESSION_COOKIE_NAME": "s", "CSRF_COOKIE_NAME": "c"},
                "cookies.visitor",
                frozenset({"s", "c", "messages"}),
            ),
        ],
    )
    def test_says_what_the_settings_say_now(self, settings, attribute, expected):
        with site(**settings):
            found = read_site()
            for name in attribute.split("."):
                found = getattr(found, name)
        assert found == expected


class Custom(LocaleMiddleware):
    """A site's own LocaleMiddleware."""


OURS = f"{__name__}.Custom"


class TestExpectedLocale:
    """Asked before any other middleware has run: what will be active in the view."""

    @pytest.mark.parametrize("middleware", [LOCALE, OURS])
    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({}, "en"),
            ({"headers": {"accept-language": "de-AT,de"}}, "de"),
            ({"headers": {"accept-language": "xx"}}, "en"),
            ({"headers": {"cookie": "django_language=fr", "accept-language": "de"}}, "fr"),
            ({"headers": {"cookie": "django_language=garbage"}}, "en"),
        ],
    )
    def test_the_language_is_the_one_that_the_middleware_will_choose(self, middleware, asked, expected):
        page = Page(lambda request: HttpResponse(translation.get_language()))
        with translation.override("en"), site(path("", page), MIDDLEWARE=[middleware]):
            assert visitor().get("/", **asked).content.decode() == expected
            assert expected_locale(requests.get("/", **asked)).language == expected

    def test_without_such_middleware_it_is_the_sites(self):
        with site(LANGUAGE_CODE="fr", MIDDLEWARE=[UPDATE]):
            assert expected_locale(requests.get("/", headers={"accept-language": "de"})).language == "fr"

    @pytest.mark.parametrize("prefixes_default", [True, False])
    @pytest.mark.parametrize("where", ["/", "/de/", "/en/", "/p/", "/de/p/"])
    @pytest.mark.parametrize("header", ["de", "fr", ""])
    def test_of_prefixed_urls_is_that_of_the_middleware(self, prefixes_default, where, header):
        seen = []

        class Spy:
            def __init__(self, get_response):
                self.get_response = get_response

            def __call__(self, request):
                seen.append(translation.get_language())
                return self.get_response(request)

        globals()["Spy"] = Spy
        page = Page()
        routes = i18n_patterns(path("", page), path("p/", page), prefix_default_language=prefixes_default)
        asked = {"headers": {"accept-language": header}}
        with translation.override("en"), site(*routes, MIDDLEWARE=[LOCALE, f"{__name__}.Spy"]):
            visitor().get(where, **asked)
            translation.activate("en")
            assert expected_locale(requests.get(where, **asked)).language == seen[0]

    def test_prefixed_urls_are_cached_by_the_one_line_each_in_its_language(self):
        page = Page(lambda request: HttpResponse(translation.get_language()))
        with translation.override("en"), site(*i18n_patterns(path("", page)), MIDDLEWARE=[ONE_LINE, LOCALE]):
            for _ in range(2):
                for language in ("de", "en"):
                    response = visitor().get(f"/{language}/", headers={"accept-language": "fr"})
                    assert response.content.decode() == language
            assert is_hit(response)
            assert visitor().get("/", headers={"accept-language": "de"})["Location"] == "/de/"
            assert visitor().get("/", headers={"accept-language": "en"})["Location"] == "/en/"

    def test_the_zone_is_the_sites_whatever_is_active_here(self):
        with site(TIME_ZONE="Europe/Paris"), timezone.override("Asia/Tokyo"):
            assert expected_locale(requests.get("/")).time_zone == "Europe/Paris"

    def test_neither_where_the_site_does_not_use_them(self):
        with site(USE_I18N=False, USE_TZ=False):
            assert expected_locale(requests.get("/")) == Locale(None, None)
