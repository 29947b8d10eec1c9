import pytest

from tests.check_messages import ids, one


def track(settings, choice):
    settings.CACHEPLUS = {"TRACK_TABLES": choice}


@pytest.mark.parametrize(
    "choice", ["yes", 1, {"only": ["blog_post"]}, {"exclude": "blog_post"}, {"include": [""]}, ["blog_post"]]
)
def test_a_choice_that_is_none_is_an_error_with_the_form_of_one(settings, choice):
    track(settings, choice)

    message = one("cacheplus")

    assert message.id == "cacheplus.E002"
    assert repr(choice) in message.msg
    assert '{"include": [...], "exclude": [...]}' in message.hint


@pytest.mark.parametrize("choice", [True, False, {}, {"include": ["old_prices"], "exclude": ["blog.post", "app.log"]}])
def test_a_choice_is_left_alone(settings, choice):
    track(settings, choice)

    assert ids() == []


@pytest.mark.parametrize("key", ["include", "exclude"])
def test_a_model_that_its_app_does_not_have_is_told_with_the_nearest(settings, key):
    track(settings, {key: ["blog.Pots"]})

    message = one("cacheplus")

    assert message.id == "cacheplus.W021"
    assert f"[{key!r}] names 'blog.Pots'" in message.msg
    assert "'blog.Post'" in message.hint


def test_a_model_that_is_like_no_other_is_told_with_the_way_to_write_it(settings):
    track(settings, {"exclude": ["blog.Zzzzzzzzzzzz"]})

    assert "'app.Model'" in one("cacheplus").hint


def test_a_database_without_autocommit_is_told_if_tables_are_tracked(settings, monkeypatch):
    monkeypatch.setitem(settings.DATABASES, "old", {"AUTOCOMMIT": False})
    track(settings, False)
    assert ids() == []

    track(settings, True)
    message = one("cacheplus")
    assert message.id == "cacheplus.W022"
    assert "'old'" in message.msg
