"""The runner of Django's tests must not be the part that is wrong."""

import ast
import sys
from types import ModuleType

import pytest
from django.core.cache.backends.locmem import LocMemCache

from tests.django_suite.names import MODULES, Names
from tests.django_suite.rewrite import rewrite_source, rewrite_tree
from tests.django_suite.verdict import Report, judge


@pytest.fixture
def names(monkeypatch):
    """A map to a module that has some names and lacks others."""
    module = ModuleType("ours")
    module.Locally = type("Locally", (), {"__module__": "ours"})
    module.LocMemCache = LocMemCache
    monkeypatch.setitem(sys.modules, "ours", module)
    monkeypatch.setitem(MODULES, "django.core.cache.backends.locmem", "ours")
    return Names()


class TestNames:
    def test_a_name_of_ours_replaces_djangos(self, names):
        assert names.target("django.core.cache.backends.locmem.Locally") == "ours.Locally"
        assert names.faults() == []

    def test_a_name_that_is_not_mapped_stays(self, names):
        assert names.target("django.core.cache.backends.base.BaseCache") is None
        assert names.target("django.core.cache.backends.locmemory") is None
        assert names.faults() == []

    def test_a_name_that_is_missing_is_a_fault(self, names):
        assert names.target("django.core.cache.backends.locmem.Gone") == "ours.Gone"
        assert names.faults() == ["NAME ours.Gone is missing"]

    def test_a_name_that_leads_back_to_django_is_a_fault(self, names):
        names.target("django.core.cache.backends.locmem.LocMemCache")
        assert names.faults() == ["NAME ours.LocMemCache is Django's own object"]


class TestRewriteSource:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            pytest.param('X = "django.core.cache.backends.locmem.Locally"', "X = 'ours.Locally'", id="string"),
            pytest.param('X = "see django.core.cache.backends.locmem.Locally"', None, id="prose"),
            pytest.param('X = f"django.core.cache.backends.locmem.{X}"', None, id="f-string"),
            pytest.param(
                "from django.core.cache.backends.locmem import Locally as L",
                "from ours import Locally as L",
                id="import",
            ),
            pytest.param("from django.core.cache.backends.locmem import Gone", "Gone = None", id="missing"),
            pytest.param("from .models import Poll", None, id="relative import"),
            pytest.param('available_apps = ["cache"]', "available_apps = ['cache', 'cacheplus']", id="apps"),
            pytest.param('caches["prefix"]._cache = cache._cache', "pass", id="private storage shared"),
            pytest.param('caches["prefix"]._cache = cache._other', None, id="private storage changed"),
        ],
    )
    def test_changes_what_is_mapped_and_nothing_else(self, names, before, after):
        assert rewrite_source(before.encode(), names).decode() == (after or before)

    def test_keeps_what_stands_around_an_edit(self, names):
        source = (
            "def f():  # ä\n"
            "    é = 'ü'; from django.core.cache.backends.locmem import (\n        Gone, Locally\n    ); return é\n"
        )
        result = rewrite_source(source.encode(), names).decode()
        assert ast.parse(result)
        assert result.startswith("def f():  # ä\n    é = 'ü'; Gone = None; from ours import Locally as Locally; ")
        assert result.endswith("; return é\n")


class TestRewriteTree:
    def test_installs_cacheplus_in_runtests(self, names, tmp_path):
        (tmp_path / "runtests.py").write_text('ALWAYS_INSTALLED_APPS = [\n    "django.contrib.sites",\n]\n')
        (tmp_path / "tests.py").write_text("X = 'django.core.cache.backends.locmem'\n")
        assert rewrite_tree(tmp_path, names) == 2
        assert '    "cacheplus",\n    "django.contrib.sites"' in (tmp_path / "runtests.py").read_text()
        assert (tmp_path / "tests.py").read_text() == "X = 'ours'\n"

    def test_refuses_a_runtests_that_it_does_not_know(self, names, tmp_path):
        (tmp_path / "runtests.py").write_text("")
        with pytest.raises(RuntimeError, match="has no line 'ALWAYS_INSTALLED_APPS"):
            rewrite_tree(tmp_path, names)


class TestJudge:
    UPSTREAM = Report(["t"], {})

    @pytest.mark.parametrize(
        ("outcome", "upstream", "expected", "count"),
        [
            pytest.param("passed", UPSTREAM, {}, "passed", id="passes"),
            pytest.param("failed", UPSTREAM, {"t": "private"}, "expected", id="fails as expected"),
            pytest.param("skipped", Report(["t"], {"t": ("skipped", "")}), {}, "skipped", id="skipped by Django too"),
        ],
    )
    def test_counts_what_is_right(self, outcome, upstream, expected, count):
        verdict = judge(Report(["t"], {"t": (outcome, "")}), upstream, expected)
        assert (getattr(verdict, count), verdict.wrong) == (1, {})

    @pytest.mark.parametrize(
        ("outcomes", "upstream", "expected", "text"),
        [
            pytest.param({"t": ("failed", "boom")}, UPSTREAM, {}, "boom", id="fails"),
            pytest.param({"t": ("passed", "")}, UPSTREAM, {"t": "private"}, "expected failures: private", id="mended"),
            pytest.param({"t": ("skipped", "no")}, UPSTREAM, {}, "not in Django's own run: no", id="skipped only here"),
            pytest.param({"t": ("skipped", "no")}, Report(["t"], {"t": ("passed", "")}), {}, "skipped here", id="ran"),
            pytest.param({}, UPSTREAM, {}, "did not run", id="lost"),
        ],
    )
    def test_reports_what_is_wrong(self, outcomes, upstream, expected, text):
        verdict = judge(Report([], outcomes), upstream, expected)
        assert list(verdict.wrong) == ["t"]
        assert text in verdict.wrong["t"]
