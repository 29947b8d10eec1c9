import pytest

from cacheplus.testing import BackendContract

lmdb = pytest.importorskip("cacheplus.backends.lmdb")


class TestLMDB(BackendContract):
    @pytest.fixture
    def cache(self, tmp_path):
        return lmdb.LMDBCache(tmp_path / "cache", {"OPTIONS": {"MAX_ENTRIES": 2000}})
