"""Other processes that use a cache: they start together, and tell what they found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

_BEFORE = """
import json, os, sys, time
from django.conf import settings
from django.utils.module_loading import import_string
settings.configure(CACHES={{}}, SECRET_KEY="secret")
backend, location, options, arguments = json.loads(sys.argv[1])
cache = import_string(backend)(location, {{"OPTIONS": options}})

def tell(found):
    print(json.dumps(found), flush=True)

def surely(call, *args):
    while True:
        try:
            return call(*args)
        except TimeoutError:
            pass  # a slow disk; nothing was done

tell("ready")
sys.stdin.readline()
{code}
"""


class Process:
    """Runs `code`, which has `cache`, `arguments`, `tell` and `surely`, once `go` is called."""

    def __init__(self, cache: Any, code: str, *arguments: Any) -> None:
        kind = f"{type(cache).__module__}.{type(cache).__qualname__}"
        given = [kind, str(cache._location), cache._client_options, arguments]
        self.popen = subprocess.Popen(
            [sys.executable, "-c", _BEFORE.format(code=dedent(code)), json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.heard() == "ready"

    def go(self) -> None:
        assert self.popen.stdin
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()

    def heard(self) -> Any:
        """What it tells next; waits for it."""
        assert self.popen.stdout
        line = self.popen.stdout.readline()
        assert line, f"the process ended with {self.popen.wait()}"
        return json.loads(line)

    def end(self) -> None:
        self.popen.kill()
        self.popen.communicate()


def in_child(work: Callable[[], object]) -> None:
    """Run `work` in a forked child; fails where that fails, or does not end."""
    with warnings.catch_warnings():
        # Of Python 3.12 on, where other threads run: they are what a test of forks may be about.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - it must not go on as another run of the tests
            traceback.print_exc()
        finally:
            os._exit(status)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the child did not end")


@contextmanager
def process(cache: Any, code: str, *arguments: Any) -> Iterator[Process]:
    """A process beside this one, which runs `code` on the same store; it is ended with the block."""
    started = Process(cache, code, *arguments)
    try:
        yield started
    finally:
        started.end()


def together(cache: Any, code: str, each: Sequence[Any]) -> list[Any]:
    """What processes tell that run `code` at the same time, one with each of the arguments."""
    started: list[Process] = []
    try:
        # One by one, so that those that run are ended if the next cannot be started.
        started.extend(Process(cache, code, argument) for argument in each)
        for one in started:
            one.go()
        return [one.heard() for one in started]
    finally:
        for one in started:
            one.end()
