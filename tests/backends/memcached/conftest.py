import secrets

import pytest

from cacheplus.signals import cache_error
from tests.memcached_clients import CLIENTS
from tests.servers import ask


@pytest.fixture(params=CLIENTS)
def build(request, memcached_server):
    """Makes backends for one client library on the shared server, all with one prefix that is new."""
    cls, defaults = CLIENTS[request.param]
    prefix = secrets.token_hex(4)

    def build(location=None, **options):
        params = {"KEY_PREFIX": options.pop("prefix", prefix), "OPTIONS": {**defaults, **options}}
        return cls(location or memcached_server.address, params)

    return build


@pytest.fixture
def cache(build):
    return build()


@pytest.fixture
def faults():
    seen = []

    def listen(error, **_):
        seen.append(error)

    cache_error.connect(listen)
    yield seen
    cache_error.disconnect(listen)


@pytest.fixture
def tell(memcached_server):
    """Sends plain commands to the shared server."""

    def tell(command):
        return ask(memcached_server.host, memcached_server.port, command)

    return tell
