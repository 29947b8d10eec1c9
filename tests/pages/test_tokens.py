"""CSRF tokens in a page: each mask of the secret is found, and the page is whole again with another token."""

from __future__ import annotations

import base64
import hashlib

import pytest
from django.http import HttpResponse
from django.middleware.csrf import CSRF_ALLOWED_CHARS, get_token
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from cacheplus.pages.tokens import cut, fill, find_tokens, places_in


@pytest.fixture
def request_():
    request = RequestFactory().get("/")
    request.csrf_processing_done = True
    return request


def masked(request):
    return get_token(request).encode()


def test_every_mask_of_the_secret_is_found(request_):
    tokens = [masked(request_) for _ in range(3)]
    body = b"<a " + tokens[0] + b"><b " + tokens[1] + b">" + tokens[2]
    places = find_tokens(body, request_.META["CSRF_COOKIE"])
    assert [body[place : place + 64] for place in places] == tokens


def test_also_where_letters_stand_beside_it(request_):
    token = masked(request_)
    for before, after in ((b"token", b""), (b"", b"token"), (b"x" * 100, b"y" * 100), (token, token)):
        body = before + token + after
        assert len(before) in find_tokens(body, request_.META["CSRF_COOKIE"])


def test_what_only_looks_like_one_is_none(request_):
    masked(request_)
    other = RequestFactory().get("/")
    body = b" ".join([hashlib.sha256(b"x").hexdigest().encode(), base64.b64encode(b"picture" * 500), masked(other)])
    assert find_tokens(body, request_.META["CSRF_COOKIE"]) == ()


text = st.text(st.sampled_from(CSRF_ALLOWED_CHARS + "<> \n"), max_size=80).map(str.encode)


@given(st.lists(text, min_size=1, max_size=4))
def test_a_page_is_whole_again_with_another_token(parts):
    request = RequestFactory().get("/")
    body = parts[0] + b"".join(masked(request) + part for part in parts[1:])
    places = find_tokens(body, request.META.get("CSRF_COOKIE", "x" * 32))
    assert len(places) == len(parts) - 1
    rest, holes = cut(body, places)
    assert rest == b"".join(parts)
    token = get_token(request)
    assert fill(rest, holes, token) == token.encode().join(parts)


def page(request, body, **headers):
    return HttpResponse(body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_page_that_can_be_filled(request_):
    token = masked(request_)
    assert places_in(request_, page(request_, b"<p>" + token)) == (3,)


def test_not_without_middleware_that_sets_the_cookie(request_):
    token = masked(request_)
    request_.csrf_processing_done = False
    assert places_in(request_, page(request_, token)) == ()


def test_not_where_the_bare_secret_shows(request_):
    token = masked(request_)
    secret = request_.META["CSRF_COOKIE"]
    assert places_in(request_, page(request_, token + b" " + secret.encode())) == ()
    assert places_in(request_, page(request_, token, X_Secret=secret)) == ()


def test_not_where_a_header_has_a_token(request_):
    token = masked(request_)
    assert places_in(request_, page(request_, token, X_Token=get_token(request_))) == ()


def test_not_where_the_body_is_coded(request_):
    token = masked(request_)
    assert places_in(request_, page(request_, token, Content_Encoding="gzip")) == ()


def test_not_where_no_token_shows(request_):
    token = masked(request_)
    assert places_in(request_, page(request_, base64.b64encode(token))) == ()
