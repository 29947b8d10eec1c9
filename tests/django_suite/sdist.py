"""Django's source distribution: the tests are only there."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path


def find(version: str, directory: Path) -> Path:
    """The source distribution of Django `version` in `directory`, fetched with pip where it is not there yet."""
    pattern = f"[Dd]jango-{version}.tar.gz"
    if not any(directory.glob(pattern)):
        fetch = ["pip", "download", "--quiet", "--no-deps", "--no-binary", "Django", "--dest", str(directory)]
        subprocess.run([sys.executable, "-m", *fetch, f"Django=={version}"], check=True)
    return next(directory.glob(pattern))


def unpack(sdist: Path, directory: Path) -> Path:
    """Take tests/ out of `sdist`, and nothing else: the Django under test is the installed one."""
    with tarfile.open(sdist) as archive:
        for member in archive:
            inside = member.name.partition("/")[2]
            if inside.startswith("tests/") and not inside.startswith("tests/gis_tests/"):
                archive.extract(member.replace(name=inside), directory, filter="data")
    return directory / "tests"
