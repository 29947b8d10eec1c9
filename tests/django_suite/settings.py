"""Settings for Django's runtests.py. What differs from run to run comes as JSON in CACHEPLUS_SUITE."""

import json
import os

from tests import servers

_config = json.loads(os.environ["CACHEPLUS_SUITE"])

DATABASES = _config["databases"]
CACHES = _config["caches"]
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "tests.django_suite.runner.RecordingRunner"

# One of Django's tests wants a cookie replayed to whoever asks next. That is off here, unless a site wants it.
CACHEPLUS = {"STORE_SET_COOKIE": True}

if DATABASES["default"]["ENGINE"].endswith("mysql"):
    servers.install_mysql_driver()
