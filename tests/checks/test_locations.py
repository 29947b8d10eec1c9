import os

import pytest
from django.core.checks import run_checks

import cacheplus.checks
from tests.check_messages import LOCMEM, found, one


@pytest.fixture(params=["filebased.FileBasedCache", "lmdb.LMDBCache"])
def in_directory(request, caches):
    return lambda location: caches(other={"BACKEND": f"cacheplus.backends.{request.param}", "LOCATION": location})


def test_a_directory_of_our_own_is_fine(in_directory, tmp_path):
    tmp_path.chmod(0o700)
    in_directory(tmp_path)

    assert found("cache", deploy=True) == found("cacheplus.(W006|I001)", deploy=True)


def test_a_directory_that_will_be_made_is_fine(in_directory, tmp_path):
    in_directory(tmp_path / "to" / "be" / "made")

    assert found("cache") == []
    assert not (tmp_path / "to").exists()


def test_a_directory_that_others_can_write_to(in_directory, tmp_path):
    tmp_path.chmod(0o770)
    in_directory(tmp_path)

    assert "other users (mode 0770)" in one("cacheplus").msg
    assert repr(str(tmp_path)) in one("cacheplus.E008").msg


def test_a_directory_that_belongs_to_somebody_else(in_directory, tmp_path):
    if os.geteuid():
        pytest.skip("only root can give a directory away")
    tmp_path.chmod(0o700)
    os.chown(tmp_path, 1234, -1)
    in_directory(tmp_path)

    assert "belongs to user 1234" in one("cacheplus.E008").msg


def test_a_symbolic_link(in_directory, tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    in_directory(tmp_path / "link")

    assert "symbolic link" in one("cacheplus.E008").msg


def test_a_file_is_no_directory(in_directory, tmp_path):
    (tmp_path / "file").write_text("")
    in_directory(tmp_path / "file")

    assert "no directory" in one("cacheplus.E008").msg


def test_a_relative_directory(in_directory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    in_directory("cache")

    assert one("cache").id == "caches.W003"


@pytest.mark.parametrize("setting", ["MEDIA_ROOT", "STATIC_ROOT", "STATICFILES_DIRS"])
@pytest.mark.parametrize(
    ("cache", "root", "relation"),
    [("x", "x", "matches"), ("x/cache", "x", "is inside"), ("x", "x/media", "contains"), ("x", "y", None)],
)
def test_a_directory_that_the_web_server_gives_away(in_directory, settings, tmp_path, setting, cache, root, relation):
    root = tmp_path / root
    setattr(settings, setting, [("prefix", root)] if setting == "STATICFILES_DIRS" else root)
    in_directory(tmp_path / cache)

    texts = [message.msg for message in found(r"caches\.W002", deploy=True)]

    assert len(texts) == (relation is not None)
    assert all(f"its LOCATION {relation} {setting}." in text and "'other'" in text for text in texts)


def test_the_checks_of_djangos_own_backends_stay_djangos(caches, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    caches(other={"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "cache"})

    assert found("cache") == []
    assert [message.id for message in run_checks(tags=["caches"])] == ["caches.W003"]


def test_a_missing_default_is_reported_once(settings):
    settings.CACHES = {"other": {"BACKEND": LOCMEM}}

    assert [message.id for message in run_checks(tags=["caches"])] == ["caches.E001"]
    assert [message.id for message in cacheplus.checks.check_default_cache_is_configured()] == ["caches.E001"]
