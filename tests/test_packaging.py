"""The wheel holds the package and nothing else, and works without its optional parts."""

import os
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import cacheplus

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

# What the extras install, by the names one imports.
OPTIONAL = ["django_redis", "hiredis", "lmdb", "lz4", "msgpack", "pylibmc", "pymemcache", "redis", "zstandard"]

IMPORT_WITHOUT_EXTRAS = f"""
import importlib, pathlib, sys
sys.modules.update(dict.fromkeys({OPTIONAL}))
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "cacheplus"])
django.setup()
import cacheplus
root = pathlib.Path(cacheplus.__file__).parent
for path in sorted(root.rglob("*.py")):
    name = ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")
    if not name.startswith({{driven}}):
        importlib.import_module(name)
        print(name)
"""
# Modules that are about a driver, and a test tool's.
DRIVEN = ("cacheplus.backends.redis", "cacheplus.backends.memcached", "cacheplus.backends.lmdb", "cacheplus.testing")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = target.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def in_a_fresh_process(source, path):
    environment = {**os.environ, "PYTHONPATH": str(path)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-W", "error", "-c", source]
    return subprocess.run(command, cwd=path, env=environment, check=True, capture_output=True, text=True).stdout


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel):
    tracked = {path.relative_to(ROOT).as_posix() for path in (ROOT / "cacheplus").rglob("*") if path.is_file()}
    expected = {path for path in tracked if "__pycache__" not in path}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected
    assert "cacheplus/py.typed" in expected


def test_the_wheel_names_version_licence_and_extras(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(wheel.read(name).decode())
    assert metadata["Version"] == cacheplus.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert set(metadata.get_all("Provides-Extra")) == set(EXTRAS)


def test_the_extra_called_all_names_every_other():
    (everything,) = EXTRAS["all"]
    assert set(everything.removeprefix("cacheplus[").removesuffix("]").split(",")) == set(EXTRAS) - {"all"}


def test_the_unpacked_wheel_works_without_any_extra(wheel, tmp_path):
    wheel.extractall(tmp_path)
    imported = in_a_fresh_process(IMPORT_WITHOUT_EXTRAS.format(driven=DRIVEN), tmp_path).split()
    assert {"cacheplus", "cacheplus.codecs.record", "cacheplus.backends.locmem"} <= set(imported)
    where = in_a_fresh_process("import cacheplus; print(cacheplus.__file__)", tmp_path)
    assert where.startswith(str(tmp_path))
