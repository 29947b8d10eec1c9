"""The script behind `make test-matrix`."""

import runpy
import sys
from pathlib import Path

import pytest

MATRIX = runpy.run_path(str(Path(__file__).parent.parent / ".ci" / "matrix.py"))
HERE = sys.version_info[:2]
NAME = f"python{HERE[0]}.{HERE[1]}"


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A directory that is all of PATH, with no pyenv beside it; returns a way to put a script there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))

    def put(place, script):
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return str(file)

    return put


def find(version):
    return MATRIX["find_python"](version)


def test_a_shim_that_does_not_run_is_passed_over(path):
    path(NAME, "exit 127")
    assert find(HERE) == sys.executable


def test_an_interpreter_of_another_version_is_passed_over(path):
    path(NAME, "echo 3 9")
    assert find(HERE) == sys.executable


def test_an_interpreter_on_the_path_comes_first(path):
    assert path(NAME, f"echo {HERE[0]} {HERE[1]}") == find(HERE)


def test_an_interpreter_of_pyenv_is_found(path):
    path(NAME, "exit 127")
    version = f"{HERE[0]}.{HERE[1]}.0"
    assert path(f"versions/{version}/bin/{NAME}", f"echo {HERE[0]} {HERE[1]}") == find(HERE)


def test_a_version_that_is_not_here_is_not_found(path):
    assert find((3, 99)) is None


def test_django_6_is_not_paired_with_python_311():
    pairs = MATRIX["valid_pairs"]()
    assert ((3, 11), (5, 2)) in pairs
    assert ((3, 11), (6, 0)) not in pairs
    assert set(MATRIX["ENDS"]) <= set(pairs)
    assert len(pairs) == 7


@pytest.mark.parametrize(
    ("line", "is_closing"),
    [
        ("======================= 1 failed, 1679 passed in 40.25s ========================", True),
        ("================== 1680 passed, 2 skipped in 121.45s (0:02:01) ==================", True),
        ("============================= test session starts ==============================", False),
        ("Django's cache tests: passed", True),
    ],
)
def test_the_closing_line_of_a_run_is_known(line, is_closing):
    assert bool(MATRIX["CLOSING"].fullmatch(line)) is is_closing
