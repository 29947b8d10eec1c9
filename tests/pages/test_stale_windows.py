"""A view's `stale-while-revalidate` and `stale-if-error` are for other caches: here they must not keep a page out."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from cacheplus.middleware import CacheMiddleware
from cacheplus.signals import page_stored
from cacheplus.testing import isolated_caches


@pytest.mark.parametrize("directive", ["stale-while-revalidate=600", "stale-if-error=600"])
def test_a_page_is_stored_for_as_long_as_it_is_fresh(settings, directive):
    settings.CACHES = {"default": {"BACKEND": "cacheplus.backends.locmem.LocMemCache"}}
    settings.USE_I18N = False
    kept = []

    def told(ttl, **_kwargs):
        kept.append(ttl)

    page_stored.connect(told)
    try:
        with isolated_caches():
            view = CacheMiddleware(lambda _: HttpResponse(headers={"Cache-Control": f"max-age=60, {directive}"}))
            view(RequestFactory().get("/"))
    finally:
        page_stored.disconnect(told)

    assert [round(ttl) for ttl in kept] == [60]
