import pytest

from cacheplus.backends.redis import RedisCache
from cacheplus.testing import BackendContract


class TestRedis(BackendContract):
    @pytest.fixture
    def cache(self, redis_server, prefix):
        return RedisCache(redis_server.url, {"KEY_PREFIX": prefix})
