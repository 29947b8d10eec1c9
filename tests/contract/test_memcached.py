import pytest

from cacheplus.backends.memcached import PyLibMCCache, PyMemcacheCache
from cacheplus.testing import BackendContract


class MemcachedContract(BackendContract):
    smallest_ttl = 1
    overtime = 3.5
    refuses_odd_keys = True


class TestPyMemcache(MemcachedContract):
    @pytest.fixture
    def cache(self, memcached_server, prefix):
        return PyMemcacheCache(memcached_server.address, {"KEY_PREFIX": prefix})


class TestPyLibMC(MemcachedContract):
    @pytest.fixture
    def cache(self, memcached_server, prefix):
        return PyLibMCCache(memcached_server.address, {"KEY_PREFIX": prefix})
