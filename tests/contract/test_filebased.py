import pytest

from cacheplus.backends.filebased import FileBasedCache
from cacheplus.testing import BackendContract


class TestFileBased(BackendContract):
    @pytest.fixture
    def cache(self, tmp_path):
        return FileBasedCache(tmp_path / "cache", {"OPTIONS": {"MAX_ENTRIES": 2000}})
