import pytest

from cacheplus.backends.memcached import PyLibMCCache, PyMemcacheCache
from cacheplus.testing import BackendContract

# How long a call waits on a busy machine is no part of the contract.
PATIENT = {"SOCKET_TIMEOUT": 20}


class MemcachedContract(BackendContract):
    smallest_ttl = 1
    overtime = 3.5
    refuses_odd_keys = True


class TestPyMemcache(MemcachedContract):
    @pytest.fixture
    def cache(self, memcached_server, prefix):
        return PyMemcacheCache(memcached_server.address, {"KEY_PREFIX": prefix, "OPTIONS": PATIENT})


class TestPyLibMC(MemcachedContract):
    @pytest.fixture
    def cache(self, memcached_server, prefix):
        return PyLibMCCache(memcached_server.address, {"KEY_PREFIX": prefix, "OPTIONS": PATIENT})
