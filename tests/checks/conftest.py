import pytest

from tests.check_messages import LOCMEM


@pytest.fixture(autouse=True)
def caches(settings):
    """Sets CACHES; until it is called, the default alias alone is there, in the process. No middleware uses it."""
    settings.MIDDLEWARE = []

    def configure(**aliases):
        settings.CACHES = {"default": {"BACKEND": LOCMEM}, **aliases}

    configure()
    return configure
