import pytest

from cacheplus.backends.lmdb import LMDBCache
from cacheplus.testing import BackendContract


class TestLMDB(BackendContract):
    @pytest.fixture
    def cache(self, tmp_path):
        return LMDBCache(tmp_path / "cache", {"OPTIONS": {"MAX_ENTRIES": 2000, "MAP_SIZE": 8 * 2**20}})
