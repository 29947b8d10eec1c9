"""The TEST_RUNNER inside Django's runtests.py: writes down what was planned and how each test ended."""

from __future__ import annotations

import json
import os
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.test.runner import DiscoverRunner

_config = json.loads(os.environ["CACHEPLUS_SUITE"])

_GRAVITY = ("passed", "skipped", "failed")


class RecordingResult(unittest.TextTestResult):
    """Keeps the gravest outcome of each test, and its text."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outcomes: dict[str, tuple[str, str]] = {}

    def _note(self, test: unittest.TestCase, outcome: str, text: str = "") -> None:
        known = self.outcomes.get(test.id(), ("passed", ""))
        if _GRAVITY.index(outcome) >= _GRAVITY.index(known[0]):
            self.outcomes[test.id()] = (outcome, text)

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self._note(test, "passed")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._note(test, "skipped", reason)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self._note(test, "failed", self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self._note(test, "failed", self.errors[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, "failed", (self.failures + self.errors)[-1][1])

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self._note(test, "passed")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self._note(test, "failed", "unexpected success")


class RecordingRunner(DiscoverRunner):
    """Runs the tests that CACHEPLUS_SUITE names under "only" (all, where it is null) and reports to "report"."""

    planned: list[str]

    def get_resultclass(self) -> type[unittest.TextTestResult]:
        return RecordingResult

    def run_checks(self, databases: set[str]) -> None:
        """Nothing: the checks would open every cache before the first test, and one of them could end the run."""

    def build_suite(self, *args: Any, **kwargs: Any) -> unittest.TestSuite:
        suite = super().build_suite(*args, **kwargs)
        tests = list({test.id(): test for test in _flatten(suite)}.values())
        self.planned = [test.id() for test in tests]
        only = _config["only"]
        chosen = type(suite)()
        chosen.addTests(test for test in tests if only is None or test.id() in only)
        return chosen

    def run_suite(self, suite: unittest.TestSuite, **kwargs: Any) -> Any:
        result = super().run_suite(suite, **kwargs)
        assert isinstance(result, RecordingResult)
        report = {"planned": self.planned, "outcomes": result.outcomes}
        Path(_config["report"]).write_text(json.dumps(report), encoding="utf-8")
        return result


def _flatten(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flatten(test)
        else:
            yield test
