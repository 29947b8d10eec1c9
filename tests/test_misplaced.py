"""The page cache in the wrong places of MIDDLEWARE: a check says so, and still nobody is shown another's page."""

from __future__ import annotations

import itertools

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.test import Client, override_settings
from django.urls import path

from cacheplus.checks.middleware import check_order, check_pairing
from tests.sites import AUTH, CSRF, FETCH, GZIP, ONE_LINE, SESSION, UPDATE, site, visitor

pytestmark = pytest.mark.django_db

serial = itertools.count()

INSIDE = (SESSION, CSRF, AUTH)
WRONG = {
    "swapped": (FETCH, *INSIDE, UPDATE),
    "swapped at the end": (*INSIDE, FETCH, UPDATE),
    "swapped at the beginning": (FETCH, UPDATE, *INSIDE),
    "both at the beginning": (UPDATE, FETCH, *INSIDE),
    "both at the end": (*INSIDE, UPDATE, FETCH),
    "update in the middle": (SESSION, UPDATE, CSRF, AUTH, FETCH),
    "fetch in the middle": (UPDATE, SESSION, FETCH, CSRF, AUTH),
    "update alone": (UPDATE, *INSIDE),
    "fetch alone": (FETCH, *INSIDE),
    "one line at the end": (*INSIDE, ONE_LINE),
    "one line in the middle": (SESSION, ONE_LINE, CSRF, AUTH),
    "one line and pair": (ONE_LINE, UPDATE, *INSIDE, FETCH),
    "two pairs": (UPDATE, UPDATE, *INSIDE, FETCH, FETCH),
    "two lines": (ONE_LINE, *INSIDE, ONE_LINE),
}


def token(request):
    return HttpResponse(get_token(request))


def user(request):
    return HttpResponse(f"{request.user} {request.session.get('cart')}")


def cookie(_):
    response = HttpResponse(str(next(serial)))
    response.set_cookie("visitor", str(next(serial)))
    return response


def member(name):
    client = Client()
    client.force_login(User.objects.get_or_create(username=name)[0])
    return client


@pytest.mark.parametrize("wrong", WRONG)
class TestNobody:
    def test_is_shown_the_page_of_another(self, wrong):
        with site(path("", user), MIDDLEWARE=list(WRONG[wrong])):
            clients = {"ann": member("ann"), "bob": member("bob"), "AnonymousUser": visitor()}
            for _ in range(2):
                for name, client in clients.items():
                    assert client.get("/").content.decode() == f"{name} None"

    def test_is_given_the_token_of_another(self, wrong):
        with site(path("", token), MIDDLEWARE=list(WRONG[wrong])):
            assert len({visitor().get("/").content for _ in range(3)}) == 3

    def test_is_given_the_cookie_of_another(self, wrong):
        with site(path("", cookie), MIDDLEWARE=list(WRONG[wrong])):
            assert len({visitor().get("/").cookies["visitor"].value for _ in range(3)}) == 3


@pytest.mark.parametrize("wrong", WRONG)
def test_a_check_tells(wrong):
    with override_settings(MIDDLEWARE=[GZIP, *WRONG[wrong]]):
        assert check_pairing() + check_order()
