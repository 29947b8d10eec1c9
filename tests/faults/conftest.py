import pytest


@pytest.fixture(autouse=True)
def _databases(django_db_blocker):
    """The stores under faults bring databases of their own; their threads use them too."""
    with django_db_blocker.unblock():
        yield
