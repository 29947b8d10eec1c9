"""Page hits in process: a small site, asked through Django's handler, behind Django's page cache and behind ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import RequestFactory, override_settings
from django.urls import path

from benchmarks.rounds import Batch

_BODY = b"<p>A paragraph of a page, as pages have them.</p>\n" * 400


def view(_request: HttpRequest) -> HttpResponse:
    """20 kB."""
    return HttpResponse(_BODY)


urlpatterns = [path("page/", view)]


def _middleware(module: str) -> list[str]:
    return [f"{module}.UpdateCacheMiddleware", f"{module}.FetchFromCacheMiddleware"]


MODULES: Mapping[str, str] = {"django": "django.middleware.cache", "cacheplus": "cacheplus.middleware"}


def page_hits(aliases: list[str]) -> Iterator[tuple[str, Batch]]:
    """(alias, batch of hits) for each alias, behind the middleware of whoever made its backend."""
    for alias in aliases:
        who = "cacheplus" if alias.startswith("cacheplus") else "django"
        with override_settings(MIDDLEWARE=_middleware(MODULES[who]), CACHE_MIDDLEWARE_ALIAS=alias):
            handler = WSGIHandler()
        environ = RequestFactory().get("/page/").environ
        yield alias, _asking(handler, environ)


def _asking(handler: WSGIHandler, environ: dict[str, Any]) -> Batch:
    def start(status: str, *_: object) -> Any:
        if not status.startswith("200"):
            raise RuntimeError(f"The page was answered with {status}.")
        return None

    def batch(calls: int) -> None:
        for _ in range(calls):
            response = handler(dict(environ), start)
            b"".join(response)
            response.close()

    return batch


def fragment_hits(aliases: list[str]) -> Iterator[tuple[str, Batch]]:
    """(alias, batch of renderings of a template with one cached fragment)."""
    for alias in aliases:
        library = "cacheplus" if alias.startswith("cacheplus") else "cache"
        with override_settings(TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}]):
            template = engines["django"].from_string(
                f'{{% load {library} %}}{{% cache 300 sidebar using="{alias}" %}}<p>{{{{ text }}}}</p>{{% endcache %}}'
            )
        yield alias, _rendering(template)


def _rendering(template: Any) -> Batch:
    def batch(calls: int) -> None:
        for _ in range(calls):
            template.render({"text": "some text"})

    return batch
