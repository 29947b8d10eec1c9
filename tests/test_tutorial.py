"""Somebody follows the tutorial to the letter, in an empty directory. Only the two seconds are left out."""

import os
import re
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.servers import free_port

ROOT = Path(__file__).parent.parent
TUTORIAL = (ROOT / "docs" / "tutorial" / "index.md").read_text(encoding="utf-8")

# As much of it as the tutorial uses, for machines that have none; it asks at the port of the test.
CURL = """#!{python}
import argparse, sys, urllib.request
parser = argparse.ArgumentParser()
parser.add_argument("-s", action="store_true")
parser.add_argument("-i", action="store_true")
parser.add_argument("-H", action="append", default=[])
parser.add_argument("url")
asked = parser.parse_args()
headers = dict(line.split(": ") for line in asked.H)
request = urllib.request.Request(asked.url.replace(":8000/", ":{port}/"), headers=headers)
with urllib.request.urlopen(request, timeout=30) as answer:
    if asked.i:
        print(answer.headers)
    sys.stdout.write(answer.read().decode())
"""
PYTHON = '#!/bin/sh\nexec {python} "$@"\n'


class Follower:
    """Writes the files that the tutorial shows, types its commands, and compares what they print."""

    def __init__(self, directory):
        self.directory = directory / "work"
        self.directory.mkdir()
        self.port = free_port()
        self.compared = 0
        self._site = None
        tools = directory / "tools"
        tools.mkdir()
        for name, text in {"curl": CURL, "python": PYTHON}.items():
            (tools / name).write_text(text.format(python=sys.executable, port=self.port))
            (tools / name).chmod(stat.S_IRWXU)
        (tools / "django-admin").write_text('#!/bin/sh\nexec python -m django "$@"\n')
        (tools / "django-admin").chmod(stat.S_IRWXU)
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(tools), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._environment.pop("DJANGO_SETTINGS_MODULE", None)

    def follow(self, text):
        for language, block in re.findall(r"^```(python|console)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if language == "python":
                self.write(block)
            else:
                for command, expected in re.findall(r"^\$ (.+)\n((?:(?!\$ ).+\n)*)", block, re.MULTILINE):
                    self.type(command, expected)

    def write(self, block):
        """The first line says where the rest belongs."""
        heading, _, rest = block.partition("\n")
        name, _, place = heading.removeprefix("# ").partition(", ")
        path = self.directory / name
        before = path.read_text() if place == "at the end" else ""
        path.write_text(before + rest.replace("sleep(2)", "sleep(0)"))
        self.stop()

    def type(self, command, expected):
        if "pip install" in command:
            return
        if "runserver" in command or (command.startswith("curl") and self._site is None):
            self.serve()
        if "runserver" in command:
            return
        run = self._start("bash", "-c", command)
        printed, complaints = run.communicate(timeout=60)
        assert (run.returncode, complaints) == (0, ""), command
        assert _without_seconds(printed) == _without_seconds(expected), command
        self.compared += bool(expected)

    def serve(self):
        """As `runserver` does, which starts anew when a file has changed."""
        self.stop()
        self._site = self._start("python", "manage.py", "runserver", str(self.port), "--noreload")
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._site.poll() is None, self._site.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def stop(self):
        if self._site is not None:
            self._site.terminate()
            self._site.communicate(timeout=30)
            self._site = None

    def _answers(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/nowhere/", timeout=10)
        except urllib.error.HTTPError:
            return True
        except urllib.error.URLError:
            return False
        return True

    def _start(self, *command):
        return subprocess.Popen(
            command,
            cwd=self.directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _without_seconds(text):
    return re.sub(r"ttl=\d+", "ttl=some", text).strip()


def test_the_tutorial_does_what_it_says(tmp_path):
    follower = Follower(tmp_path)
    try:
        follower.follow(TUTORIAL)
    finally:
        follower.stop()

    assert follower.compared == len(re.findall(r"^\$ .+\n(?!\$ |```)", TUTORIAL, re.MULTILINE))
    assert follower.compared > 10


def test_every_address_that_the_tutorial_links_to_exists():
    links = re.findall(r"\]\((\.\./[^)#]+)", TUTORIAL)

    assert links
    assert [link for link in links if not (ROOT / "docs" / "tutorial" / link).exists()] == []
