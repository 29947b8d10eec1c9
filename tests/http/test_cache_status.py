from __future__ import annotations

import pytest

from cacheplus.http.cache_status import CacheStatus, Forward
from cacheplus.http.reasons import Reason


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param(CacheStatus.hit(37.0), "cacheplus; hit; ttl=37", id="rfc9211-2.1-hit"),
        pytest.param(CacheStatus.hit(36.01), "cacheplus; hit; ttl=37", id="rounded-up"),
        pytest.param(CacheStatus.hit(-3.0), "cacheplus; hit; ttl=-3", id="rfc9211-2.4-stale-hit"),
        pytest.param(CacheStatus.hit(None), "cacheplus; hit", id="page-without-end"),
        pytest.param(
            CacheStatus(Forward.URI_MISS, stored=True), "cacheplus; fwd=uri-miss; stored", id="rfc9211-2.5-stored"
        ),
        pytest.param(CacheStatus(Forward.VARY_MISS), "cacheplus; fwd=vary-miss", id="rfc9211-2.2-vary-miss"),
        pytest.param(
            CacheStatus(Forward.STALE, status=304, ttl=60, stored=True, collapsed=True),
            "cacheplus; fwd=stale; fwd-status=304; ttl=60; stored; collapsed",
            id="rfc9211-2.3-everything",
        ),
        pytest.param(
            CacheStatus.bypass(Reason.SESSION), "cacheplus; fwd=bypass; detail=session", id="rfc9211-2.8-detail"
        ),
        pytest.param(CacheStatus.bypass(Reason.METHOD), "cacheplus; fwd=method; detail=method", id="method"),
        pytest.param(CacheStatus.bypass(Reason.EXPIRED), "cacheplus; fwd=stale; detail=expired", id="stale"),
        pytest.param(CacheStatus.bypass(Reason.NO_CACHE), "cacheplus; fwd=stale; detail=no-cache", id="no-cache"),
        pytest.param(CacheStatus.bypass(Reason.FAULT), "cacheplus; fwd=miss; detail=fault", id="fault"),
        pytest.param(
            CacheStatus.bypass(Reason.REQUEST_NO_CACHE), "cacheplus; fwd=request; detail=request-no-cache", id="request"
        ),
        pytest.param(
            CacheStatus(Forward.URI_MISS, stored=True).not_stored(Reason.SET_COOKIE),
            "cacheplus; fwd=uri-miss; detail=set-cookie",
            id="not-stored",
        ),
        pytest.param(
            CacheStatus.bypass(Reason.EXPIRED).not_stored(Reason.PRIVATE),
            "cacheplus; fwd=stale; detail=expired",
            id="the-first-reason-stays",
        ),
        pytest.param(CacheStatus.hit(float("inf")), "cacheplus; hit; ttl=999999999999999", id="rfc8941-3.3.1-largest"),
    ],
)
def test_render(status, text):
    assert status.render() == text


def test_detail_can_be_left_out():
    assert CacheStatus.bypass(Reason.SESSION).render(detail=False) == "cacheplus; fwd=bypass"


def test_detail_is_given_unless_left_out():
    status = CacheStatus.bypass(Reason.BODY)
    assert status.appended_to("a") == "a, cacheplus; fwd=bypass; detail=body"
    assert status.appended_to("a", detail=False) == "a, cacheplus; fwd=bypass"


@pytest.mark.parametrize(
    ("field", "whole"),
    [(None, "cacheplus; hit"), ("", "cacheplus; hit"), ("origin; fwd=miss", "origin; fwd=miss, cacheplus; hit")],
)
def test_member_is_appended_behind_those_nearer_to_the_view(field, whole):
    """RFC 9211 §2."""
    assert CacheStatus.hit(None).appended_to(field) == whole
