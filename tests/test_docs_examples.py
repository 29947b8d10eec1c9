"""The code in the documentation: sessions are run, every block compiles, and what it imports exists."""

import ast
import doctest
import re
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest
from django.template import engines

from cacheplus.testing import isolated_caches

DOCS = Path(__file__).parent.parent / "docs"
CACHES = {"default": {"BACKEND": "cacheplus.backends.locmem.LocMemCache", "LOCATION": "documentation"}}


def blocks(language):
    """The fenced blocks of a language, also those within a list or a note, as (page, first line, text)."""
    for page in sorted([*DOCS.rglob("*.md"), DOCS.parent / "README.md"]):
        text = page.read_text(encoding="utf-8")
        for found in re.finditer(rf"^( *)```{language}\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
            yield page, text[: found.start()].count("\n") + 2, dedent(found[2])


def of(language):
    """One parameter for each block."""
    return [pytest.param(text, id=f"{page.relative_to(DOCS.parent)}:{line}") for page, line, text in blocks(language)]


def sessions():
    """The sessions of each page, joined: a later one goes on where an earlier one ended."""
    pages = {}
    for page, _, text in blocks("pycon"):
        pages.setdefault(page, []).append(text)
    return [pytest.param("\n".join(texts), id=str(page.relative_to(DOCS))) for page, texts in pages.items()]


@pytest.mark.parametrize("text", sessions())
def test_a_session_gives_what_the_page_shows(text, settings, request):
    settings.CACHES = CACHES
    session = doctest.DocTestParser().get_doctest(text, {}, request.node.callspec.id, None, 0)
    told = []

    with isolated_caches():
        outcome = doctest.DocTestRunner(verbose=False).run(session, out=told.append)

    assert outcome.failed == 0, "".join(told)
    assert outcome.attempted > 0


@pytest.mark.parametrize("text", of("python"))
def test_a_block_of_python_compiles(text):
    compile(text, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("text", of("python"))
def test_what_a_block_imports_from_here_or_from_django_exists(text):
    tree = compile(text, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in {"cacheplus", "django"}:
            module = import_module(node.module)
            assert [each.name for each in node.names if not hasattr(module, each.name)] == []


@pytest.mark.parametrize("text", of("python"))
def test_a_dotted_path_of_ours_leads_somewhere(text):
    for path in re.findall(r"\"(cacheplus\.(?:backends|middleware|routers)\.[\w.]+\w)\"", text):
        module, _, name = path.rpartition(".")
        assert hasattr(import_module(module), name), path


@pytest.mark.parametrize("text", of("django"))
def test_a_block_of_template_compiles(text):
    source = text if "{% load cacheplus" in text else "{% load cacheplus %}" + text
    if "{% endcache %}" not in source and "{% cache" in source:
        source += "{% endcache %}"

    assert engines["django"].from_string(source).template.nodelist
