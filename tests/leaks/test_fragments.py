"""Known problems of cached fragments and of the file store, in Django and here."""

from __future__ import annotations

import os
import stat

import pytest
from django.core.cache.backends.filebased import FileBasedCache as DjangoFileBasedCache
from django.template import engines
from django.test import RequestFactory

from cacheplus.backends.filebased import FileBasedCache
from tests.sites import site

LIBRARIES = {"cache": True, "cacheplus": False}


@pytest.fixture(params=LIBRARIES)
def load(request):
    """(render a template under a request of its own with one of the tags, whether the tag is Django's)."""

    def render(text, **context):
        template = engines["django"].from_string(f"{{% load {request.param} %}}{text}")
        return template.render(context, RequestFactory().get("/"))

    with site():
        yield render, LIBRARIES[request.param]


def test_s3_a_csrf_token_in_a_fragment(load):
    render, is_django = load
    text = "{% cache 60 form %}{% csrf_token %}{% endcache %}"
    assert (render(text) == render(text)) is is_django


def test_s4_a_misspelt_variable_among_those_that_a_fragment_varies_on(load):
    render, is_django = load
    text = "{% cache 60 greeting usr.pk %}hello {{ user }}{% endcache %}"
    assert (render(text, user="ann") == render(text, user="bob")) is is_django


@pytest.mark.parametrize("argument", ["user", "user.pk|default:0", "none", "'text'", "5"])
def test_a_fragment_that_varies_on_what_is_there_is_stored(load, argument):
    render, _ = load
    text = f"{{% cache 60 greeting {argument} %}}{{{{ serial }}}}{{% endcache %}}"
    assert render(text, user="ann", none=None, serial=1) == render(text, user="ann", none=None, serial=2)


@pytest.mark.parametrize("cls", [DjangoFileBasedCache, FileBasedCache])
def test_cve_2026_25674_directories_under_a_careless_umask(cls, tmp_path):
    before = os.umask(0)
    try:
        cls(str(tmp_path / "a" / "b"), {}).set("key", "value")
    finally:
        os.umask(before)
    made = [tmp_path / "a", *(tmp_path / "a").rglob("*")]
    assert [path for path in made if path.is_dir() and stat.S_IMODE(path.stat().st_mode) & 0o077] == []
