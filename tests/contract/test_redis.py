import pytest

from cacheplus.backends.redis import RedisCache
from cacheplus.testing import BackendContract


class TestRedis(BackendContract):
    @pytest.fixture
    def cache(self, redis_server, prefix):
        # How long a call waits on a busy machine is no part of the contract.
        return RedisCache(redis_server.url, {"KEY_PREFIX": prefix, "OPTIONS": {"SOCKET_TIMEOUT": 20}})
