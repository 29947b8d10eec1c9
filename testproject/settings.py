"""Settings of the demonstration site; the tests run on them too.

From the environment: `DEBUG=1`; `CACHE_URL`, another store than the embedded one, such as redis://127.0.0.1:6379/1;
`TESTPROJECT_VAR`, the directory for all that the site writes.
"""

import os
from pathlib import Path

from cacheplus import cache_url

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("TESTPROJECT_VAR", BASE_DIR / "var"))

SECRET_KEY = "testproject"
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "testproject.urls"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sitemaps",
    "django.contrib.staticfiles",
    "cacheplus",
    "testproject.blog",
]

MIDDLEWARE = [
    "cacheplus.middleware.CacheMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# Two aliases on one store: their prefixes keep them apart.
CACHE_URL = os.environ.get("CACHE_URL", f"lmdb://{VAR}/cache")
CACHES = {
    "default": cache_url(CACHE_URL, KEY_PREFIX="pages"),
    "template_fragments": cache_url(CACHE_URL, KEY_PREFIX="fragments"),
}
CACHE_MIDDLEWARE_SECONDS = 600
CACHEPLUS = {"CACHE_STATUS": "detail"}

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": VAR / "blog.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

STATIC_URL = "static/"
LOGIN_REDIRECT_URL = "blog:home"
LOGOUT_REDIRECT_URL = "blog:home"

LANGUAGES = [("en", "English"), ("de", "Deutsch")]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
