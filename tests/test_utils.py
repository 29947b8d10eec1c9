"""`cacheplus.utils`: Django's helpers under one roof, and tags on a response."""

from __future__ import annotations

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.utils import cache as django_cache

from cacheplus import utils
from cacheplus.pages.options import PageOptions
from cacheplus.utils import add_cache_tags
from tests.sites import site


@pytest.mark.parametrize("name", sorted(set(utils.__all__) - {"add_cache_tags"}))
def test_djangos_helpers_are_djangos(name):
    assert getattr(utils, name) is getattr(django_cache, name)


def test_djangos_keys_can_be_learnt_on_our_caches():
    request = RequestFactory().get("/p/")
    with site():
        assert utils.get_cache_key(request) is None
        learnt = utils.learn_cache_key(request, HttpResponse(headers={"Vary": "Accept"}))
        assert utils.get_cache_key(request) == learnt


class TestAddCacheTags:
    def tags(self, response):
        return PageOptions(alias="default").late_tags(RequestFactory().get("/"), response)

    def test_add_up_in_order_each_once_a_call(self):
        response = HttpResponse()
        add_cache_tags(response, "b", "a", "b")
        add_cache_tags(response, "c")
        assert self.tags(response) == ("b", "a", "c")

    def test_of_several_responses_do_not_mix(self):
        one, other = HttpResponse(), HttpResponse()
        add_cache_tags(one, "a")
        assert self.tags(other) == ()

    def test_none_are_none(self):
        response = HttpResponse()
        add_cache_tags(response)
        assert self.tags(response) == ()

    def test_a_stream_may_have_them(self):
        response = StreamingHttpResponse()
        add_cache_tags(response, "a")
        assert self.tags(response) == ("a",)

    @pytest.mark.parametrize("wrong", [["a"], "", None, 5, b"a"], ids=repr)
    def test_what_is_no_name_is_a_type_error_that_shows_it(self, wrong):
        response = HttpResponse()
        with pytest.raises(TypeError, match="tag"):
            add_cache_tags(response, "good", wrong)
        assert self.tags(response) == ()

    def test_join_those_that_a_function_gives(self):
        response = HttpResponse()
        add_cache_tags(response, "a")
        options = PageOptions(alias="default", tags=lambda request, response: ["b"])
        assert set(options.late_tags(RequestFactory().get("/"), response)) == {"a", "b"}
        assert options.early_tags == ()
