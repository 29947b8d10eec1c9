"""Small sites for the tests of the page cache, and a cache that can be watched, counted and broken."""

from __future__ import annotations

import asyncio
import functools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ClassVar

from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import URLPattern, URLResolver, clear_url_caches, path
from django.views import View

from cacheplus.backends.locmem import LocMemCache

UPDATE = "cacheplus.middleware.UpdateCacheMiddleware"
FETCH = "cacheplus.middleware.FetchFromCacheMiddleware"
ONE_LINE = "cacheplus.middleware.CacheMiddleware"

SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
USUAL = (GZIP, CONDITIONAL, SESSION, LOCALE, COMMON, CSRF, AUTH, MESSAGES)

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csrf",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"cacheplus": "cacheplus.templatetags.cacheplus"},
        },
    }
]

USUAL_SETTINGS = {
    "ALLOWED_HOSTS": ["*"],
    "CACHEPLUS": {},
    "CACHE_MIDDLEWARE_ALIAS": "default",
    "CACHE_MIDDLEWARE_SECONDS": 600,
    "CACHE_MIDDLEWARE_KEY_PREFIX": "",
    "DEBUG": False,
    "LANGUAGES": [("en", "English"), ("de", "German"), ("fr", "French")],
    "LANGUAGE_CODE": "en",
    "MIDDLEWARE": [],
    "TEMPLATES": TEMPLATES,
    "TIME_ZONE": "UTC",
    "USE_I18N": True,
    "USE_TZ": True,
}


def layers(shape: str, *between: str) -> list[str]:
    """MIDDLEWARE with the page cache as the "pair", as "one line", or with "none"."""
    return {"pair": [UPDATE, *between, FETCH], "one line": [ONE_LINE, *between], "none": list(between)}[shape]


def locmem(**params: Any) -> dict[str, Any]:
    """An entry of CACHES that nobody else has."""
    return {"BACKEND": "cacheplus.backends.locmem.LocMemCache", "LOCATION": secrets.token_hex(8), **params}


@contextmanager
def nobody_listens() -> Iterator[None]:
    """Let no receiver hear of changed models: those of the demonstration site know its pages, not these."""
    signals = (post_save, pre_delete, post_delete, m2m_changed)
    before = [signal.receivers for signal in signals]
    try:
        for signal in signals:
            signal.receivers = []
            signal.sender_receivers_cache.clear()
        yield
    finally:
        for signal, receivers in zip(signals, before, strict=True):
            signal.receivers = receivers
            signal.sender_receivers_cache.clear()


@contextmanager
def site(*routes: URLPattern | URLResolver, **settings: Any) -> Iterator[None]:
    """Let the routes be the site, on a cache of its own unless CACHES are given."""
    urlconf = ModuleType(f"urlconf_{secrets.token_hex(8)}")
    urlconf.urlpatterns = list(routes)  # type: ignore[attr-defined]
    given = {**USUAL_SETTINGS, "ROOT_URLCONF": urlconf, "CACHES": {"default": locmem()}, **settings}
    with nobody_listens(), override_settings(**given):
        try:
            yield
        finally:
            clear_url_caches()


class Page:
    """A view that counts how often it ran, and says so in its body."""

    def __init__(self, answer: Callable[..., Any] | None = None) -> None:
        self.runs = 0
        self.answer = answer or (lambda request, **kwargs: HttpResponse())
        self.__name__ = self.__qualname__ = "page"

    def __call__(self, request: HttpRequest, **kwargs: Any) -> Any:
        self.runs += 1
        response = self.answer(request, **kwargs)
        is_whole = not response.streaming and getattr(response, "is_rendered", True) and response.status_code != 304
        if is_whole and not response.content:
            response.content = f"run {self.runs}"
        return response

    def at(self, route: str, wrap: Callable[[Any], Any] = lambda view: view) -> URLPattern:
        """The route to this view, behind a decorator."""
        return path(route, wrap(self))

    @property
    def coroutine(self) -> Callable[..., Any]:
        """The same as an async view."""

        async def page(request: HttpRequest, **kwargs: Any) -> Any:
            return self(request, **kwargs)

        return page


class Counting(View):
    """A class-based view whose runs are counted per class."""

    runs = 0

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        type(self).runs += 1
        return HttpResponse(f"run {self.runs}")


def visitor(**cookies: str) -> Client:
    """A browser with these cookies."""
    client = Client()
    client.cookies.load(cookies)
    return client


def outcome(response: Any) -> str:
    """The member of Cache-Status that the outermost layer wrote."""
    return str(response.headers.get("Cache-Status", "")).rpartition("cacheplus; ")[2]


def ask(kind: str, method: str = "get", where: str = "/", **headers: str) -> Any:
    """A request of the "sync" or the "async" `kind`; header names have underscores."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if kind == "sync":
        return getattr(Client(), method)(where, headers=given)

    async def asked() -> Any:
        return await getattr(AsyncClient(), method)(where, headers=given)

    return asyncio.run(asked())


def is_hit(response: Any) -> bool:
    """Whether the outermost layer answered from the cache."""
    return outcome(response).startswith("hit")


def _probed(name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(LocMemCache, name))
    def primitive(self: ProbedCache, *args: Any) -> Any:
        if self._inside:
            return getattr(super(ProbedCache, self), name)(*args)
        cls = type(self)
        cls.calls.append(name.lstrip("_"))
        if cls.error is not None and (cls.fails_at is None or len(cls.calls) == cls.fails_at):
            raise cls.error
        self._inside = True
        try:
            return getattr(super(ProbedCache, self), name)(*args)
        finally:
            self._inside = False

    return primitive


class ProbedCache(LocMemCache):
    """Writes down the primitives that it is asked for, and fails at one of them, or at all."""

    calls: ClassVar[list[str]] = []
    error: ClassVar[BaseException | None] = None
    fails_at: ClassVar[int | None] = None
    faults = (ConnectionError,)
    _inside = False

    @classmethod
    def reset(cls, error: BaseException | None = None, fails_at: int | None = None) -> None:
        """Forget the calls; from now on fail with `error` at call `fails_at`, or at every call."""
        cls.calls, cls.error, cls.fails_at = [], error, fails_at


for _name in ("read", "write", "add", "add_many", "swap", "touch", "remove", "increment", "ttl", "clear"):
    setattr(ProbedCache, f"_{_name}", _probed(f"_{_name}"))


def probed(**params: Any) -> dict[str, Any]:
    """An entry of CACHES on a cache that can be watched and broken."""
    return locmem(**params) | {"BACKEND": "tests.sites.ProbedCache"}
