"""The backend that the documentation shows passes the contract that it recommends."""

import re
import secrets
from pathlib import Path

import pytest

from cacheplus.testing import BackendContract

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "write-a-backend.md"


def shown():
    """The names that the Python examples of the page define."""
    names = {"__name__": "tests.shown"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), names)
    return names


class TestShown(BackendContract):
    @pytest.fixture
    def cache(self):
        return shown()["DictCache"](secrets.token_hex(8), {})


def test_the_class_shown_is_a_contract_with_its_fixture():
    assert issubclass(shown()["TestDictCache"], BackendContract)
    assert shown()["TestDictCache"].cache is not BackendContract.cache
