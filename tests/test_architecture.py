from pathlib import Path

import pytest

from tests.architecture import LAYERS, LONGEST_MODULE, layer_of, read_package, violations

PACKAGE = read_package(Path(__file__).parent.parent)

PLANTED = {
    "exceptions know nothing": (
        "exceptions",
        "from cacheplus.http.headers import Vary",
        "http is not below exceptions",
    ),
    "http is pure": ("http.policy", "from django.http import HttpResponse", "the layer http does not know it"),
    "http does not know django's version": ("http.policy", "import django", "the layer http does not know it"),
    "http does not read settings": ("http.policy", "from cacheplus.conf import setting", "conf is not below http"),
    "codecs are pure": ("codecs.record", "import django.utils.timezone", "the layer codecs does not know it"),
    "a codec's library is lazy": ("codecs.serializers", "import msgpack", "does not know it at the top"),
    "signals do not read settings": ("signals", "from django.conf import settings", "basic does not know it"),
    "services know no backend": ("tags", "from cacheplus.backends.base import BaseCache", "not below services"),
    "services do not know each other": ("tags", "import cacheplus.recorder", "know nothing of one another"),
    "type checking is no excuse": (
        "tags",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cacheplus.pages.store import PageStore",
        "pages is not below services",
    ),
    "a leaf takes no service": ("backends.locmem", "from cacheplus.tags import Tags", "services is not below leaves"),
    "leaves do not know each other": ("backends.tiered", "import cacheplus.backends.locmem", "nothing of one another"),
    "base knows no leaf": ("backends.base", "import cacheplus.backends.redis", "leaf-redis is not below backends"),
    "the database is the db leaf's": ("backends.base", "from django.db import connection", "does not know it"),
    "a driver is its leaf's": ("backends.filebased", "import redis", "the layer leaves does not know it"),
    "pages take options as arguments": ("pages.cache", "from cacheplus import conf", "conf is not below pages"),
    "pages know no shell": (
        "pages.cache",
        "from cacheplus.utils import patch_vary_headers",
        "shells is not below pages",
    ),
    "shells keep their internals": ("mixins", "from cacheplus.decorators import _wrap", "know nothing of one another"),
    "nobody imports the operators": ("decorators", "import cacheplus.testing", "operators is not below shells"),
    "nobody imports the root": ("decorators", "from cacheplus import cache_url", "the package root"),
    "nor by its name": ("decorators", "import cacheplus", "the package root"),
    "no relative imports": ("decorators", "from .pages import store", "relative imports hide the layer"),
    "no hidden cycle": ("tags", "def f():\n    from cacheplus.store import Store", "hides a cycle"),
    "no late standard library": ("tags", "async def f():\n    import json", "belongs at the top"),
    "no late django": (
        "decorators",
        "class C:\n    def f(self):\n        import django.http",
        "only an optional package",
    ),
}

ALLOWED = {
    "the standard library": ("http.headers", "import re\nfrom collections.abc import Mapping"),
    "another of its layer": ("http.policy", "from cacheplus.http.headers import Vary"),
    "a layer below": ("backends.base", "from cacheplus.tags import Tags"),
    "a module by way of the root": ("backends.base", "from cacheplus import conf"),
    "a codec's library in its function": ("codecs.serializers", "def f():\n    import msgpack"),
    "a driver in its leaf": ("backends.redis", "import redis\nfrom django_redis import pool"),
    "a driver's own module, late": ("backends.redis", "def f():\n    import cacheplus.backends.redis_connections"),
    "the version of django": ("backends.db", "import django"),
    "a shell's public name": ("mixins", "from cacheplus.decorators import cache_page"),
    "part of a package": ("backends.base", "from django.core import checks"),
}


def verdict(module, source):
    return violations({**dict.fromkeys(PACKAGE, ""), f"cacheplus.{module}": source})


def test_the_package_keeps_its_layers():
    assert violations(PACKAGE) == []


def test_every_module_has_a_layer():
    assert {layer_of(module) for module in PACKAGE} <= set(LAYERS)
    with pytest.raises(LookupError, match=r"cacheplus\.helpers belongs to no layer"):
        layer_of("cacheplus.helpers")


@pytest.mark.parametrize(("module", "source", "reason"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_found(module, source, reason):
    (found,) = verdict(module, source)
    assert reason in found


@pytest.mark.parametrize(("module", "source"), ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed_is_not_reported(module, source):
    assert verdict(module, source) == []


def test_a_long_module_is_found():
    assert verdict("tags", "\n" * (LONGEST_MODULE + 1)) == [f"cacheplus.tags has more than {LONGEST_MODULE} lines"]
