"""The reference is complete: names, arguments, options and reasons are on its pages, as they are in the code."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import cacheplus
from cacheplus import decorators, exceptions, invalidation, middleware, mixins, utils
from cacheplus.backends.base import BaseCache
from cacheplus.codecs.compressors import COMPRESSORS
from cacheplus.codecs.serializers import SERIALIZERS
from cacheplus.exceptions import Flaw
from cacheplus.http.reasons import Reason
from cacheplus.templatetags.cacheplus import _KEYWORDS
from tests.django_suite.expected import EXPECTED

DOCS = Path(__file__).parent.parent / "docs"

# The columns of the table in choose-a-backend.md.
BACKENDS = {
    "local memory": "locmem.LocMemCache",
    "files": "filebased.FileBasedCache",
    "LMDB": "lmdb.LMDBCache",
    "database": "db.DatabaseCache",
    "Redis": "redis.RedisCache",
    "memcached": "memcached.PyMemcacheCache",
    "dummy": "dummy.DummyCache",
}


def page(name):
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def rows(text):
    """The cells of each row of each table, without the heads."""
    tables = re.findall(r"^\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in row[1:-1].split("|")] for table in tables for row in table.splitlines()]


def named(text):
    """Every name that stands in code marks in the first cell of a row."""
    return {name for cells in rows(text) for name in re.findall(r"`([^`]+)`", cells[0])}


def backend(path):
    module, _, name = path.partition(".")
    return getattr(import_module(f"cacheplus.backends.{module}"), name)


def public(module):
    """What a module itself defines for others."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__
    ]


@pytest.mark.parametrize("name", ["how-to/why-is-my-page-not-cached", "reference/cache-status-reasons"])
def test_every_reason_is_explained(name):
    text = page(name).partition("## ")[2]

    assert sorted(named(text)) == sorted(Reason)


def test_the_reference_explains_a_reason_as_the_code_does():
    documented = {cells[0].strip("`"): cells[1] for cells in rows(page("reference/cache-status-reasons"))}

    assert [reason for reason in Reason if documented.get(reason) != reason.explanation] == []


def test_every_exception_is_in_the_tree_and_explained():
    text = page("reference/exceptions")
    ours = {name for name, value in vars(exceptions).items() if isinstance(value, type)} - {"StrEnum", "Flaw"}

    assert ours <= set(re.findall(r"\w+", text.split("```")[1]))
    assert ours | set(Flaw) <= named(text)


def test_a_flaw_that_does_not_exist_is_not_documented():
    assert named(page("reference/exceptions").partition("## Flaws")[2]) == set(Flaw)


@pytest.mark.parametrize("path", BACKENDS.values())
def test_every_option_of_a_backend_is_documented_with_its_default(path):
    documented = {
        name: cells[1] for cells in rows(page("reference/options")) for name in re.findall(r"`(\w+)`", cells[0])
    }

    for name, option in backend(path).extra_options.items():
        assert documented[name].strip("`") == str(option.default)


def test_every_public_name_is_in_the_reference():
    text = "".join(each.read_text(encoding="utf-8") for each in (DOCS / "reference").rglob("*.md"))
    names = {*cacheplus.__all__, *utils.__all__, "Expired"}
    for module in (decorators, middleware, mixins):
        names |= set(public(module))

    assert [name for name in sorted(names) if not re.search(rf"(`|# |and )({name})\b", text)] == []


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("decorators", decorators.cache_page),
        ("cached", decorators.cached),
        ("invalidation", invalidation.expire_view_cache),
    ],
)
def test_every_argument_is_documented_with_its_default(name, function):
    documented = {cells[0]: cells[1] for cells in rows(page(f"reference/{name}"))}

    for argument in inspect.signature(function).parameters.values():
        if argument.kind is argument.VAR_POSITIONAL:
            continue
        default = "" if argument.default is argument.empty else str(argument.default)
        assert documented[f"`{argument.name}`"].strip('`"') == default


def test_every_attribute_and_method_of_the_mixin_is_documented():
    documented = {cells[0].strip("`"): cells[1] for cells in rows(page("reference/mixins"))}

    for name, value in vars(mixins.CacheMixin).items():
        if inspect.isfunction(value) and not name.startswith("_") and name != "dispatch":
            assert f"{name}({', '.join([*inspect.signature(value).parameters][1:])})" in documented
        elif name.startswith("cache_"):
            assert documented[name].strip("`") == str(value)


def test_every_call_of_a_cache_is_documented_or_the_twin_of_one():
    names = " ".join(named(page("reference/low-level-api")))
    documented = set(re.findall(r"(\w+)\(", names))
    calls = {name for name, value in vars(BaseCache).items() if inspect.isfunction(value) and not name.startswith("_")}

    assert {name.removeprefix("a") for name in calls - documented} <= documented


def test_the_options_of_the_template_tag_are_documented():
    assert {f"{name}=" for name in _KEYWORDS} <= named(page("reference/template-tags"))


def test_the_stored_format_names_every_serializer_and_compressor():
    text = page("reference/stored-format")

    for name, make in SERIALIZERS.items():
        assert f'| {make.id} | `"{name}"`' in text
    for name, make in COMPRESSORS.items():
        assert f"{make.id} {name}" in text


def test_the_tests_of_django_that_cannot_pass_are_listed():
    assert named(page("reference/django-test-suite")) == set(EXPECTED)


def test_the_table_of_backends_says_what_they_declare():
    text = page("how-to/choose-a-backend")
    table = {cells[0]: [cell.strip("*") for cell in cells[1:]] for cells in rows(text)}
    assert f"| | {' | '.join(BACKENDS)} |" in text

    for column, path in enumerate(BACKENDS.values()):
        store = backend(path)
        if store.keeps_nothing:
            continue
        assert table["seen by other processes"][column] == _said(store.is_shared)
        assert table["survives a restart of the site"][column] == _said(store.is_shared)
        assert table["`clear()` keeps to the prefix"][column] == _said(store.supports_scoped_clear)
        assert (table["a thread hop in async code"][column] == "none") is not store.is_blocking


def _said(is_so):
    return "yes" if is_so else "no"
