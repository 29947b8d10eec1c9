import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from cacheplus import conf as module
from cacheplus.conf import Conf, bad_values, conf, unknown_keys


def test_a_site_without_the_setting_has_the_defaults():
    with override_settings(CACHEPLUS=None):
        values = conf()

    assert values.store_set_cookie is False
    assert values.share_authenticated is False
    assert values.cache_status == "auto"
    assert values.prefix_depth == 3
    assert values.cache_table_database is None
    assert values.cache_table_replica is None


def test_the_settings_of_a_test_are_seen_at_once_and_forgotten_after_it():
    before = conf().prefix_depth
    with override_settings(CACHEPLUS={"PREFIX_DEPTH": 7}):
        assert conf().prefix_depth == 7
        with override_settings(CACHEPLUS={"PREFIX_DEPTH": 8}):
            assert conf().prefix_depth == 8
        assert conf().prefix_depth == 7
    assert conf().prefix_depth == before


def test_values_are_parsed_once():
    with override_settings(CACHEPLUS={"STORE_SET_COOKIE": True}):
        assert conf() is conf()


def test_credentials_are_kept_as_keys_of_request_meta():
    with override_settings(CACHEPLUS={"CREDENTIALS": ["Authorization", "X-Api-Key", "REMOTE_USER", "x-api-key"]}):
        assert conf().credentials == ("HTTP_AUTHORIZATION", "HTTP_X_API_KEY", "REMOTE_USER")


def test_the_usual_credentials_are_known_without_a_setting():
    with override_settings(CACHEPLUS={}):
        assert {"HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION", "HTTP_X_API_KEY", "REMOTE_USER"} <= set(
            conf().credentials
        )


@pytest.mark.parametrize(
    ("key", "value", "way_out"),
    [
        ("STORE_SET_COOKIE", "yes", "True or False"),
        ("SHARE_AUTHENTICATED", 1, "True or False"),
        ("CREDENTIALS", "Authorization", "a list of header names"),
        ("CREDENTIALS", ["Authorization", ""], "a list of header names"),
        ("CACHE_STATUS", "verbose", "'detail'"),
        ("CACHE_STATUS", ["plain"], "'plain'"),
        ("PREFIX_DEPTH", -1, "0 or more"),
        ("PREFIX_DEPTH", True, "0 or more"),
        ("CACHE_TABLE_DATABASE", "", "an alias of DATABASES"),
        ("CACHE_TABLE_REPLICA", 3, "an alias of DATABASES"),
        ("STATUSES", {404: -1}, "such as {404: 30}"),
        ("TARGETED_FIELDS", "CDN-Cache-Control", "a list of header names"),
        ("STALE", None, "0 or more"),
        ("STALE_IF_ERROR", -1, "0 or more"),
        ("CLIENT_TIMEOUT", "5", "None or a number"),
        ("HEURISTIC_FRESHNESS", 1, "True or False"),
        ("HONOR_REQUEST_DIRECTIVES", None, "True or False"),
        ("EXPIRE_ON_UNSAFE", None, "True or False"),
    ],
)
def test_a_bad_value_is_refused_with_the_way_out(key, value, way_out):
    with override_settings(CACHEPLUS={key: value}), pytest.raises(ImproperlyConfigured) as caught:
        conf()
    for part in (f"CACHEPLUS[{key!r}]", repr(value), way_out):
        assert part in str(caught.value)


def test_something_that_is_no_dict_is_refused():
    with (
        override_settings(CACHEPLUS=["PREFIX_DEPTH"]),
        pytest.raises(ImproperlyConfigured, match="is list, not a dict"),
    ):
        conf()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CACHE_STATUS", None),
        ("CACHE_STATUS", "detail"),
        ("PREFIX_DEPTH", 0),
        ("CREDENTIALS", ()),
        ("CACHE_TABLE_DATABASE", "other"),
    ],
)
def test_good_values_are_kept(key, value):
    assert list(bad_values({key: value})) == []
    with override_settings(CACHEPLUS={key: value}):
        assert getattr(conf(), key.lower()) == value


def test_an_unknown_key_does_not_stop_the_site_but_is_named_with_the_nearest_known_one():
    with override_settings(CACHEPLUS={"STORE_SET_COOKIES": True}):
        assert conf().store_set_cookie is False
    [problem] = unknown_keys({"STORE_SET_COOKIES": True})
    assert "'STORE_SET_COOKIES'" in problem.message
    assert "'STORE_SET_COOKIE'" in problem.hint


def test_an_unknown_key_like_no_other_lists_what_exists():
    [problem] = unknown_keys({"WOBBLE": True})
    assert "PREFIX_DEPTH" in problem.hint


def test_every_key_says_what_it_means():
    for field in Conf.__dataclass_fields__.values():
        assert field.metadata["doc"].endswith(".")


def test_djangos_own_settings_are_read_each_time():
    with override_settings(
        CACHE_MIDDLEWARE_ALIAS="pages",
        CACHE_MIDDLEWARE_SECONDS=None,
        CACHE_MIDDLEWARE_KEY_PREFIX="site",
        CACHE_MIDDLEWARE_ANONYMOUS_ONLY=True,
        SECRET_KEY="new",
        SECRET_KEY_FALLBACKS=["old"],
        USE_I18N=False,
        USE_TZ=False,
        DEBUG=True,
    ):
        assert module.page_alias() == "pages"
        assert module.page_seconds() is None
        assert module.page_key_prefix() == "site"
        assert module.pages_anonymous_only() is True
        assert module.secret_keys() == ("new", "old")
        assert (module.uses_i18n(), module.uses_tz(), module.is_debug()) == (False, False, True)
    assert module.page_alias() == "default"
    assert module.pages_anonymous_only() is False


def test_a_setting_that_the_site_lacks_has_a_default():
    assert module.setting("NO_SUCH_SETTING", "fallback") == "fallback"
