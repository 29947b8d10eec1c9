"""The contract of a backend, as tests.

    class TestMine(BackendContract):
        @pytest.fixture
        def cache(self):
            return MyCache("location", {"TIMEOUT": 300})

The fixture gives a backend that holds nothing, or that has a KEY_PREFIX of its own.
"""

from __future__ import annotations

from cacheplus.testing.contract.clear import ClearContract
from cacheplus.testing.contract.computed import ComputedContract
from cacheplus.testing.contract.counters import CounterContract
from cacheplus.testing.contract.damage import DamageContract
from cacheplus.testing.contract.flights import FlightContract
from cacheplus.testing.contract.keys import KeyContract
from cacheplus.testing.contract.locks import LockContract
from cacheplus.testing.contract.many import ManyContract
from cacheplus.testing.contract.tags import TagContract
from cacheplus.testing.contract.timeouts import TimeoutContract
from cacheplus.testing.contract.twins import TwinContract
from cacheplus.testing.contract.values import ValueContract

__all__ = ["BackendContract"]


class BackendContract(
    ValueContract,
    KeyContract,
    TimeoutContract,
    CounterContract,
    TagContract,
    ComputedContract,
    FlightContract,
    ManyContract,
    LockContract,
    ClearContract,
    DamageContract,
    TwinContract,
):
    """What every backend promises, tested through its calls and through their a-twins."""
