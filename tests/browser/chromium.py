"""A headless chromium that is driven over a pipe, with one set of cookies for each visitor."""

from __future__ import annotations

import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_DEADLINE = 60.0

# The browser reads from descriptor 3 and writes to 4. Neither may be overwritten before it is copied.
_START = """import os, sys
ends = [os.dup(os.dup(os.dup(int(each)))) for each in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])"""


def installed() -> str | None:
    """The path of chromium, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Chromium:
    """The browser. Speaks the DevTools protocol: one JSON object after another, with a NUL behind each."""

    def __init__(self, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        command = [
            str(installed()),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(theirs_in), str(theirs_out), *command],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = ours_in, ours_out
        self._rest = b""
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(_DEADLINE)
        os.close(self._in)
        os.close(self._out)

    def ask(self, method: str, session: str | None = None, **params: Any) -> Any:
        """The result of a command."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(command).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _read(self) -> Any:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], _DEADLINE)
            if not ready:
                raise TimeoutError("chromium does not answer")
            piece = os.read(self._in, 1 << 16)
            if not piece:
                raise RuntimeError("chromium has ended")
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def visitor(self) -> Visitor:
        """Somebody with a browser of his own."""
        return Visitor(self)


class Visitor:
    """One window, with cookies that no other has."""

    def __init__(self, browser: Chromium) -> None:
        self._browser = browser
        context = browser.ask("Target.createBrowserContext")["browserContextId"]
        target = browser.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self._session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def run(self, script: str) -> Any:
        """What a script in the page gives."""
        given = self._browser.ask("Runtime.evaluate", self._session, expression=script, returnByValue=True)
        return given["result"].get("value")

    def visit(self, url: str) -> str:
        """The whole page at `url`, as the browser has it."""
        self.run("window.was_here = true")
        self._browser.ask("Page.navigate", self._session, url=url)
        return self._arrived()

    def submit(self, **fields: str) -> str:
        """Fill in the form of the page that has these fields, and send it; the page that comes then."""
        self.run("window.was_here = true")
        self.run(
            f"""(() => {{
                const fields = {json.dumps(fields)};
                const form = [...document.forms].find(form => Object.keys(fields).every(name => form.elements[name]));
                for (const name in fields) form.elements[name].value = fields[name];
                HTMLFormElement.prototype.submit.call(form);
            }})()"""
        )
        return self._arrived()

    def _arrived(self) -> str:
        deadline = time.monotonic() + _DEADLINE
        while time.monotonic() < deadline:
            if self.run("document.readyState === 'complete' && !window.was_here"):
                return str(self.run("document.documentElement.outerHTML"))
            time.sleep(0.05)
        raise TimeoutError("the page did not come")
