import pytest

from cacheplus.backends.lmdb import LMDBCache

SMALL = 2**22


@pytest.fixture
def location(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def make(location):
    """A backend on the one store of this test; MAP_SIZE is 4 MB unless it says something else."""
    return lambda params=None, **options: LMDBCache(
        location, {**(params or {}), "OPTIONS": {"MAP_SIZE": SMALL, **options}}
    )


@pytest.fixture
def cache(make):
    return make()
