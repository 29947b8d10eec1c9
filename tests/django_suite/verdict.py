"""What the outcomes of one area mean. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Report:
    """What a run planned, and (outcome, text) of each test that ended."""

    planned: list[str]
    outcomes: Mapping[str, tuple[str, str]]

    @property
    def skipped(self) -> list[str]:
        return [test for test, (outcome, _) in self.outcomes.items() if outcome == "skipped"]


@dataclass(slots=True)
class Verdict:
    """Counts, and the text of everything that is wrong, by test."""

    passed: int = 0
    skipped: int = 0
    expected: int = 0
    wrong: dict[str, str] = field(default_factory=dict)


def judge(ours: Report, upstream: Report, expected: Mapping[str, str]) -> Verdict:
    """Compare a run over cacheplus with one over Django, in which only the tests that ours skipped were run."""
    verdict = Verdict()
    for test in dict.fromkeys([*upstream.planned, *ours.planned, *ours.outcomes]):
        outcome, text = ours.outcomes.get(test, ("failed", "did not run"))
        if outcome == "failed" and test in expected:
            verdict.expected += 1
        elif outcome == "failed":
            verdict.wrong[test] = text
        elif test in expected:
            verdict.wrong[test] = f"is {outcome} and on the list of expected failures: {expected[test]}"
        elif outcome == "passed":
            verdict.passed += 1
        elif upstream.outcomes.get(test, ("passed", ""))[0] == "skipped":
            verdict.skipped += 1
        else:
            verdict.wrong[test] = f"is skipped here and not in Django's own run: {text}"
    return verdict
