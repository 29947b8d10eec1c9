import pytest

from cacheplus.backends.lmdb import LMDBCache
from cacheplus.testing import BackendContract


class TestLMDB(BackendContract):
    @pytest.fixture
    def cache(self, tmp_path):
        # How long a write waits on a busy machine is no part of the contract.
        options = {"MAX_ENTRIES": 2000, "MAP_SIZE": 8 * 2**20, "LOCK_TIMEOUT": 20}
        return LMDBCache(tmp_path / "cache", {"OPTIONS": options})
