import ast
import re
from pathlib import Path

import pytest
from django.dispatch import Signal

import cacheplus
from cacheplus import signals, url
from cacheplus.backends.options import TABLE
from cacheplus.conf import Conf

PACKAGE = Path(cacheplus.__file__).parent
REFERENCE = PACKAGE.parent / "docs" / "reference"
SIGNALS = [name for name, value in vars(signals).items() if isinstance(value, Signal)]
COMMANDS = [path.stem for path in (PACKAGE / "management" / "commands").glob("[!_]*.py")]


def page(name):
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def section(text, heading):
    """What stands under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#+ |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    assert found, f"no heading {heading!r}"
    return found[1]


def source():
    return {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}


def literal(value):
    return f'"{value}"' if isinstance(value, str) else str(list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize("field", Conf.__dataclass_fields__.values(), ids=lambda field: field.name)
def test_every_key_of_cacheplus_is_documented_with_its_default(field):
    text = section(page("settings"), field.name.upper())

    default = literal(field.default).replace("'", '"')
    assert re.match(rf"\s*Default `?{re.escape(default)}`?\.", text)


def test_no_key_of_cacheplus_is_documented_that_does_not_exist():
    documented = re.findall(r"^### ([A-Z_]+)$", page("settings"), flags=re.MULTILINE)

    assert documented == [name.upper() for name in Conf.__dataclass_fields__]


@pytest.mark.parametrize("name", TABLE)
def test_every_option_of_an_alias_is_documented_with_its_default(name):
    default = literal(TABLE[name].default)

    assert re.search(rf"^\| `{name}` \| `?{re.escape(default)}`? \| \S", page("settings"), flags=re.MULTILINE)


def test_every_id_of_a_check_is_documented_and_every_documented_id_exists():
    used = {
        found for text in source().values() for found in re.findall(r"\bcaches\.[EWI]\d{3}|cacheplus\.[EWI]\d{3}", text)
    }
    documented = re.findall(r"^\| `([a-z]+\.[EWI]\d{3})` \| \S", page("checks"), flags=re.MULTILINE)

    assert sorted(documented) == sorted(used)


@pytest.mark.parametrize("name", SIGNALS)
def test_every_signal_is_documented_with_the_arguments_that_are_sent(name):
    documented = re.findall(r"^\| `(\w+)` \|", section(page("signals"), name), flags=re.MULTILINE)
    sent = [
        {keyword.arg for keyword in node.keywords} - {"sender"}
        for text in source().values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"{name}.send_robust"
    ]

    assert sent
    assert all(arguments == set(documented) for arguments in sent)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name):
    assert f"manage.py {name}" in section(page("commands"), name)


def test_every_scheme_and_argument_of_a_url_is_documented():
    text = page("cache-url")
    arguments = {name.lower() for scheme in url._SCHEMES.values() for name in scheme.arguments}

    assert [name for name in url._SCHEMES if f"`{name}://" not in text] == []
    assert sorted(arguments - set(re.findall(r"`(\w+)`", section(text, "Arguments")))) == []


@pytest.mark.parametrize("example", re.findall(r"cache_url\(\s*(\"[^\"]+\")", page("cache-url")))
def test_the_urls_of_the_documentation_work(example):
    assert url.cache_url(ast.literal_eval(example))["BACKEND"].startswith("cacheplus.")


@pytest.mark.parametrize("example", re.findall(r"`(\w+://[^`]*)`", section(page("cache-url"), "Schemes")))
def test_the_schemes_of_the_documentation_work(example):
    if "…" not in example and "user:" not in example and not example.endswith("memcached://"):
        assert url.cache_url(example if example != "pylibmc://" else "pylibmc://h")["LOCATION"] is not None


def test_every_page_can_be_reached_from_the_first():
    docs = REFERENCE.parent
    seen, pages = set(), [docs / "index.md"]
    while pages:
        current = pages.pop()
        if current not in seen:
            seen.add(current)
            links = re.findall(r"\]\(([^)#:]+\.md)", current.read_text(encoding="utf-8"))
            pages += [(current.parent / link).resolve() for link in links]

    assert sorted(set(docs.resolve().rglob("*.md")) - {page.resolve() for page in seen}) == []
