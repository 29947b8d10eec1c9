# ruff: noqa: DJ008 - models that nobody prints
import django
import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import models
from django.test import override_settings
from django.test.utils import isolate_apps

from cacheplus.tables.schema import (
    _MOST_STATEMENTS,
    Schema,
    _dependents,
    _remembered,
    named_tables,
    schema,
    table_name,
    table_tag,
)
from cacheplus.tables.schema import effect as effect_of
from cacheplus.tables.sql import read
from tests.sites import locmem

DATABASE_CACHE = {"BACKEND": "cacheplus.backends.db.DatabaseCache", "LOCATION": "kept_pages"}


def tables(choice=True, **settings):
    with override_settings(CACHEPLUS={"TRACK_TABLES": choice}, **settings):
        return schema()


def effect(sql, of=None):
    return (of or tables()).effect(read("sqlite", sql), "blog")


def tags(*names):
    return {table_tag("blog", name) for name in names}


def test_nothing_is_tracked_by_default():
    with override_settings(CACHEPLUS={}):
        assert schema() is None
    assert tables(choice=False) is None


def test_the_tables_of_managed_models_are_tracked_with_those_of_relations():
    assert {"blog_post", "blog_tag", "blog_post_tags", "auth_user", "auth_user_groups"} <= tables().tracked


def test_what_the_site_writes_for_itself_is_left_out():
    caches = {"default": locmem(), "kept": DATABASE_CACHE}
    left_out = {"django_session", "django_admin_log", "django_content_type", "django_migrations", "kept_pages"}

    assert left_out <= tables(CACHES=caches).left_out
    assert left_out.isdisjoint(tables(CACHES=caches).tracked)


def test_the_choice_of_the_site_is_heard_by_table_and_by_model():
    chosen = tables({"include": ["sessions.Session", "Legacy_Prices"], "exclude": ["blog.Comment", "auth_group"]})

    assert {"django_session", "legacy_prices"} <= chosen.tracked
    assert {"blog_comment", "auth_group"} <= chosen.left_out
    assert {"blog_comment", "auth_group"}.isdisjoint(chosen.tracked)


def test_a_schema_is_made_once_for_one_choice():
    with override_settings(CACHEPLUS={"TRACK_TABLES": True}):
        assert schema() is schema()


@isolate_apps("testproject.blog")
def test_a_model_that_comes_later_is_seen():
    with override_settings(CACHEPLUS={"TRACK_TABLES": True}):
        before = schema()
        apps.clear_cache()

        assert schema() is not before


@pytest.mark.parametrize(
    ("db_table", "name"),
    [("blog_post", "blog_post"), ("Blog_Post", "blog_post"), ('app"."posts', "posts"), ("app.posts", "posts")],
)
def test_a_table_is_named_as_it_stands_in_sql(db_table, name):
    assert table_name(db_table) == name


def test_a_name_that_no_model_has_is_that_of_a_table():
    assert [*named_tables("blog.Post")] == ["blog_post"]
    assert [*named_tables("app.posts")] == ["posts"]


def test_a_query_depends_on_each_tracked_table_in_it():
    found = effect(
        'SELECT 1 FROM "blog_post" JOIN blog_tag ON 1 JOIN django_session ON 1 WHERE x IN (SELECT y FROM auth_user)'
    )

    assert found.reads == tags("blog_post", "blog_tag", "auth_user")
    assert found.writes == set()
    assert found.is_tracked


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM some_view", "SELECT * FROM unnest(%s)", "SELECT 1 FROM blog_post, some_view"]
)
def test_a_query_of_an_unknown_relation_is_not_tracked(sql, caplog):
    assert not effect(sql).is_tracked


def test_a_relation_that_the_site_vouches_for_is_tracked():
    for choice in ({"include": ["some_view"]}, {"exclude": ["some_view"]}):
        assert effect("SELECT * FROM some_view", tables(choice)).is_tracked


def test_a_write_changes_its_table_and_no_other():
    assert effect("INSERT INTO blog_post (x) SELECT y FROM blog_tag").writes == tags("blog_post")
    assert effect("UPDATE django_session SET x = 1").writes == set()


@pytest.mark.parametrize("sql", ["DROP TABLE blog_tag", "INSERT INTO some_view VALUES (1)"])
def test_a_write_of_who_knows_what_changes_every_table(sql):
    found = tables()

    assert effect(sql, found).writes == tags(*found.tracked)


def test_a_table_that_is_made_anew_on_sqlite_counts_as_itself():
    assert effect('INSERT INTO "new__blog_post" ("id") SELECT "id" FROM "blog_post"').writes == tags("blog_post")


def test_a_login_alone_changes_nothing():
    login = 'UPDATE "auth_user" SET "last_login" = %s WHERE "auth_user"."id" = %s'

    assert effect(login).writes == set()
    assert effect(login, tables({"include": ["auth.User"]})).writes == tags("auth_user")
    assert effect(login.replace("auth_user", "blog_post")).writes == tags("blog_post")
    assert effect(login.replace("last_login", "last_name")).writes == tags("auth_user")
    assert get_user_model()._meta.db_table == "auth_user"


def test_what_the_database_deletes_along_is_followed_from_table_to_table():
    found = Schema({"a", "b", "c", "d"}, {"b"}, None, {"a": {"b"}, "b": {"c"}, "c": {"a"}})

    assert found.effect(read("sqlite", "DELETE FROM a WHERE 1"), "blog").writes == tags("a", "c")
    assert found.effect(read("sqlite", "UPDATE a SET x = 1"), "blog").writes == tags("a")


@pytest.mark.skipif(django.VERSION < (6, 1), reason="Django has no DB_CASCADE before 6.1")
@isolate_apps("testproject.blog")
def test_the_cascades_of_the_database_are_read_from_the_models():
    class Shelf(models.Model):
        class Meta:
            app_label = "blog"

    class Book(models.Model):
        shelf = models.ForeignKey(Shelf, models.DB_CASCADE)
        other = models.ForeignKey(Shelf, models.DB_SET_NULL, null=True, related_name="+")

        class Meta:
            app_label = "blog"

    class Note(models.Model):
        book = models.ForeignKey(Book, models.CASCADE)

        class Meta:
            app_label = "blog"

    assert _dependents([Shelf, Book, Note]) == {"blog_shelf": {"blog_book"}}


def test_the_memory_of_statements_is_bounded_and_holds_none_that_is_long():
    found = tables()
    _remembered.cache_clear()
    rows = ", ".join(["(%s, %s)"] * 3000)
    words = " OR ".join(f"x = {number}" for number in range(1000))

    for sql in (f"INSERT INTO blog_tag (x, y) VALUES {rows}", "INSERT INTO blog_tag (x, y) VALUES (%s)"):
        assert effect_of(found, "sqlite", "blog", sql).writes == tags("blog_tag")
    assert effect_of(found, "sqlite", "blog", f"SELECT 1 FROM blog_tag WHERE {words}").reads == tags("blog_tag")

    assert _remembered.cache_info().maxsize == _MOST_STATEMENTS
    assert _remembered.cache_info().currsize == 1
