"""A pytest plugin: what a test does when the server it asks for is not installed, and how many did so.

On a laptop such a test is skipped. With `CI=true`, or where CACHEPLUS_REQUIRE names the server, it fails.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Generator
from typing import NoReturn

import pytest

from tests.servers import MissingServer, stop_all

_REASON = re.compile(r"missing server: (\w+)")


def is_required(server: str) -> bool:
    """Whether the absence of `server` is a failure here."""
    return (
        os.environ.get("CI", "").lower() in {"1", "true"} or server in os.environ.get("CACHEPLUS_REQUIRE", "").split()
    )


def _judge(error: MissingServer) -> NoReturn:
    if is_required(error.server):
        pytest.fail(f"{error}, and it is required here", pytrace=False)
    pytest.skip(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    try:
        return (yield)
    except MissingServer as error:
        _judge(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    try:
        return (yield)
    except MissingServer as error:
        _judge(error)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the count of skips, and how many are owed to each missing server."""
    skipped = terminalreporter.stats.get("skipped", [])
    found = (_REASON.search(str(report.longrepr)) for report in skipped)
    missing = Counter(match[1] for match in found if match)
    detail = ", ".join(f"{server} {count}" for server, count in sorted(missing.items())) or "none"
    terminalreporter.write_line(f"skipped tests: {len(skipped)}; for a missing server: {detail}", bold=True)


def pytest_unconfigure() -> None:
    stop_all()
