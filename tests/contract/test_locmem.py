import secrets

import pytest

from cacheplus.backends.locmem import LocMemCache
from cacheplus.testing import BackendContract


class TestLocMem(BackendContract):
    @pytest.fixture
    def cache(self):
        return LocMemCache(secrets.token_hex(8), {"OPTIONS": {"MAX_ENTRIES": 1000}})
