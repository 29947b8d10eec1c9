"""Sessions on a cache whose server is away."""

import pytest

from tests.faults import sessions
from tests.faults.stores import SERVERS


@pytest.mark.django_db
@pytest.mark.parametrize("store", SERVERS)
def test_sessions_in_the_database_and_the_cache_do_without_the_cache(store):
    sessions.cached_db.hold(store)


@pytest.mark.parametrize("store", SERVERS)
def test_sessions_in_the_cache_alone_fail_aloud_and_at_once(store):
    sessions.cache_alone.hold(store)
