import pytest

from cacheplus.backends.filebased import FileBasedCache
from cacheplus.testing import BackendContract


class TestFileBased(BackendContract):
    @pytest.fixture
    def cache(self, tmp_path):
        # How long a write waits on a busy machine is no part of the contract.
        return FileBasedCache(tmp_path / "cache", {"OPTIONS": {"MAX_ENTRIES": 2000, "LOCK_TIMEOUT": 20}})
