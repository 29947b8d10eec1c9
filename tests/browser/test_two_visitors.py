"""Two visitors with cookies, on every kind of page: nobody sees the other's name, message, cart or token."""

from __future__ import annotations

import re
from itertools import product

import pytest
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import clear_url_caches, include, path

from cacheplus import cache_url
from cacheplus.decorators import cache_page
from testproject.blog.factories import UserFactory, fill
from tests.browser.chromium import Chromium, installed
from tests.sites import TEMPLATES

POST = "/posts/how-to-read-a-tide-table/"
KINDS = {
    "home": "/",
    "second page": "/?page=2&utm_source=mail",
    "tag": "/tags/how-to/",
    "archive": "/archive/",
    "search": "/search/?q=harbour",
    "api": "/api/posts/",
    "post": POST,
    "comment": f"{POST}comment/",
    "cart": "/cart/",
    "own cart": "/own-cart/",
    "form": "/form/",
    "filled form": "/filled-form/",
}
FORMS = ("comment", "form", "filled form")
NAMES = {"ann": "Annabel", "bob": "Bobby"}
TOKEN = re.compile('csrfmiddlewaretoken" value="([A-Za-z0-9]{64})"')


def cart(request: HttpRequest) -> HttpResponse:
    """Shows what is in the cart, and who asks for `?put=` puts it there."""
    if put := request.GET.get("put"):
        request.session["cart"] = put
    return HttpResponse(f"<p>cart: {request.session.get('cart', 'empty')}</p>")


def form(request: HttpRequest) -> HttpResponse:
    """A form, and what comes of it."""
    if request.method == "POST":
        return HttpResponse(f"<p>posted by {request.POST['name']}</p>")
    return TemplateResponse(request, "form.html")


TEMPLATE = '<form method="post">{% csrf_token %}<input name="name"></form>'

urlpatterns = [
    path("cart/", cart),
    path("own-cart/", cache_page(300, per_user=True)(cart)),
    path("form/", cache_page(300)(form)),
    path("filled-form/", cache_page(300, fill_csrf=True)(form)),
    path("", include("testproject.urls")),
]


@pytest.fixture
def blog(settings, tmp_path, transactional_db):
    settings.CACHES = {
        "default": cache_url(f"lmdb://{tmp_path}/cache", KEY_PREFIX="pages"),
        "template_fragments": cache_url(f"lmdb://{tmp_path}/cache", KEY_PREFIX="fragments"),
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    loader = ("django.template.loaders.locmem.Loader", {"form.html": TEMPLATE})
    apps = "django.template.loaders.app_directories.Loader"
    processors = [*TEMPLATES[0]["OPTIONS"]["context_processors"], "django.template.context_processors.i18n"]
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"context_processors": processors, "loaders": [loader, apps]},
        }
    ]
    settings.ROOT_URLCONF = __name__
    clear_url_caches()
    fill()
    for username, first_name in NAMES.items():
        UserFactory(username=username, first_name=first_name, last_name="X", password=username)
    yield
    clear_url_caches()


@pytest.fixture
def browser(tmp_path):
    if installed() is None:
        pytest.skip("missing server: chromium")
    with Chromium(tmp_path / "profile") as chromium:
        yield chromium


class Scene:
    """Two members who are logged in and have something in their carts, and somebody without a session."""

    def __init__(self, browser, url):
        self.url = url
        self.nobody = browser.visitor()
        self.members = {name: browser.visitor() for name in NAMES}
        # Who has no session is there first, and last: what he sees is stored.
        for kind in KINDS.values():
            self.nobody.visit(url + kind)
        for name, member in self.members.items():
            member.visit(f"{url}/login/")
            member.submit(username=name, password=name)
            member.visit(f"{url}/cart/?put=cart-of-{name}")

    def seen(self, name, kind):
        return self.members[name].visit(self.url + KINDS[kind])


@pytest.fixture
def scene(blog, live_server, browser):
    return Scene(browser, live_server.url)


def other_than(name):
    return "bob" if name == "ann" else "ann"


def test_nobody_sees_what_belongs_to_the_other(scene):
    for kind, name in [*product(KINDS, NAMES)] * 2:
        page, other = scene.seen(name, kind), other_than(name)
        assert NAMES[other] not in page
        assert f"cart-of-{other}" not in page
        assert (f"cart-of-{name}" in page) is (kind in {"cart", "own cart"})
        assert (NAMES[name] in page) is (kind in {"home", "second page", "tag", "archive", "search", "post", "comment"})
    for url in KINDS.values():
        page = scene.nobody.visit(scene.url + url)
        assert not any(NAMES[name] in page or f"cart-of-{name}" in page for name in NAMES)


def test_each_has_a_token_of_his_own_and_can_post_it(scene):
    tokens = [TOKEN.search(scene.seen(name, kind))[1] for kind in FORMS for name in NAMES]
    assert len(set(tokens)) == len(tokens)
    for kind, name in product(("form", "filled form"), NAMES):
        scene.seen(name, kind)
        assert f"posted by {name}" in scene.members[name].submit(name=name)


def test_each_is_thanked_alone(scene):
    for name, member in scene.members.items():
        scene.seen(name, "comment")
        assert f"Thank you, {name}-writes" in member.submit(name=f"{name}-writes", text="a comment")
        assert "Your comment is below" not in scene.seen(other_than(name), "post")
        assert "Your comment is below" not in scene.nobody.visit(scene.url + POST)
        assert "Your comment is below" not in scene.seen(name, "post")
