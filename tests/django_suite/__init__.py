"""Django's own cache tests, run against cacheplus: `python -m tests.django_suite --help`."""
