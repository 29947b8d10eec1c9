from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.management import call_command
from django.core.signals import request_finished
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils import timezone

from cacheplus.http.reasons import Reason
from cacheplus.recorder import apart, recording
from cacheplus.tables import schema as schemas
from cacheplus.tables.schema import table_tag
from cacheplus.tables.switch import switch_on, watches
from cacheplus.tables.watch import TableWatch, database_name
from testproject.blog.factories import CommentFactory, PostFactory, TagFactory, UserFactory
from testproject.blog.models import Comment, Post, Tag
from tests.sites import ProbedCache
from tests.tables.tracking import tracking

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tracked():
    with tracking():
        yield


def computed(read=Tag.objects.count):
    """A value that is kept until a table that it was made from is written."""
    return cache.get_or_set("value", read, None)


def is_kept():
    return cache.has_key("value")


def tag(*tables):
    return {table_tag(database_name(connection), table) for table in tables}


def raw(sql, params=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def make():
    return PostFactory(tags=["Sea", "Harbour"])


READS = {
    "a count": (Tag.objects.count, {"blog_tag"}),
    "a join": (lambda: list(Post.objects.select_related("author")), {"blog_post", "auth_user"}),
    "a prefetch": (lambda: list(Post.objects.prefetch_related("tags")), {"blog_post", "blog_post_tags", "blog_tag"}),
    "a filter over relations": (
        lambda: Comment.objects.filter(post__tags__name="x").exists(),
        {"blog_comment", "blog_post", "blog_post_tags", "blog_tag"},
    ),
    "a subquery": (
        lambda: list(Tag.objects.filter(pk__in=Post.objects.filter(author__first_name="x").values("tags"))),
        {"blog_tag", "blog_post", "blog_post_tags", "auth_user"},
    ),
    "an iterator": (lambda: list(Tag.objects.iterator()), {"blog_tag"}),
    "raw sql": (lambda: list(Tag.objects.raw("select * from BLOG_TAG")), {"blog_tag"}),
}


@pytest.mark.parametrize("name", READS)
def test_whatever_is_read_is_noted_down(tracked, name):
    read, tables = READS[name]
    make()

    with recording() as recorder:
        read()

    assert recorder.tags == tag(*tables)
    assert recorder.refusal is None


WRITES = {
    "save": lambda post: post.save(),
    "update": lambda post: Post.objects.update(title="x"),
    "update of nothing": lambda post: Post.objects.filter(pk=-1).update(title="x"),
    "bulk_create": lambda post: Post.objects.bulk_create([Post(title="x", slug="x", author=post.author)]),
    "bulk_update": lambda post: Post.objects.bulk_update([post], ["title"]),
    "get_or_create": lambda post: Post.objects.get_or_create(slug="new", author=post.author),
    "delete": lambda post: post.delete(),
    "delete of a queryset": lambda post: Post.objects.all().delete(),
    "raw sql": lambda post: raw("update Blog_Post set title = %s", ["x"]),
    "executemany": lambda post: connection.cursor().executemany("UPDATE blog_post SET title = %s", [("x",), ("y",)]),
    "truncation": lambda post: call_command("flush", interactive=False, verbosity=0),
}


@pytest.mark.parametrize("name", WRITES)
def test_whatever_is_written_expires_what_was_made_from_it(tracked, name):
    post = make()
    computed(Post.objects.count)
    assert is_kept()

    WRITES[name](post)

    assert not is_kept()


RELATIONS = {
    "add": lambda post: post.tags.add(TagFactory(name="Rain")),
    "remove": lambda post: post.tags.remove(post.tags.first()),
    "set": lambda post: post.tags.set([]),
    "clear": lambda post: post.tags.clear(),
    "from behind": lambda post: Tag.objects.first().posts.clear(),
}


@pytest.mark.parametrize("name", RELATIONS)
def test_a_change_of_relations_expires_what_follows_them_and_no_more(tracked, name):
    post = make()
    computed(lambda: list(post.tags.all()))
    cache.get_or_set("users", get_user_model().objects.count, None)

    RELATIONS[name](post)

    assert not is_kept()
    assert cache.has_key("users")


def test_a_cascade_of_django_expires_what_it_reaches(tracked):
    comment = CommentFactory()
    computed(Comment.objects.count)

    comment.post.delete()

    assert not is_kept()


def test_a_login_expires_nothing(tracked, client):
    user = UserFactory(username="reader", password="reader")
    computed(lambda: list(get_user_model().objects.all()))

    assert client.login(username="reader", password="reader")
    user.last_login = timezone.now()
    user.save(update_fields=["last_login"])
    assert is_kept()

    user.save()
    assert not is_kept()


def test_a_write_that_fails_expires_all_the_same(tracked):
    post = make()
    computed(Post.objects.count)

    with pytest.raises(Exception, match="UNIQUE"):
        Post.objects.create(slug=post.slug, author=post.author)

    assert not is_kept()


def test_a_change_of_the_schema_expires_everything(tracked):
    computed()

    raw("CREATE TABLE something (x integer)")
    try:
        assert not is_kept()
    finally:
        raw("DROP TABLE something")


def test_what_reads_a_database_view_is_returned_and_not_kept(tracked, caplog):
    TagFactory()
    raw("CREATE VIEW some_tags AS SELECT * FROM blog_tag")
    try:
        assert len(computed(lambda: list(Tag.objects.raw("SELECT * FROM some_tags")))) == 1
        assert not is_kept()
    finally:
        raw("DROP VIEW some_tags")


def test_what_is_written_between_the_reading_and_the_storing_is_not_kept(tracked):
    def read_and_lose():
        number = Tag.objects.count()
        TagFactory()
        return number

    assert computed(read_and_lose) == 0
    assert not is_kept()
    assert computed() == 1


def test_an_expiry_reaches_every_alias():
    from tests.sites import locmem  # noqa: PLC0415

    with tracking(CACHES={"default": locmem(), "other": locmem()}):
        from django.core.cache import caches  # noqa: PLC0415

        for alias in ("default", "other"):
            caches[alias].get_or_set("value", Tag.objects.count, None)

        TagFactory()

        assert [caches[alias].has_key("value") for alias in ("default", "other")] == [False, False]


class TestTransactions:
    def test_a_write_expires_at_once_and_again_on_commit(self, tracked):
        computed()
        with transaction.atomic():
            assert self.expiries(lambda: TagFactory(name="a")) == 1
            assert self.expiries(lambda: TagFactory(name="b")) == 0
            self.by_somebody_else(self.keep_what_is_old)
            assert self.by_somebody_else(is_kept)
            ProbedCache.reset()
        assert ProbedCache.calls.count("remove") == 1
        assert not self.by_somebody_else(is_kept)

    def test_who_takes_part_is_neither_served_nor_stores_what_the_transaction_changed(self, tracked):
        TagFactory(name="a")
        with transaction.atomic():
            TagFactory(name="b")
            self.by_somebody_else(self.keep_what_is_old)

            assert cache.get("value") is None
            with recording() as recorder:
                assert Tag.objects.count() == 2
            assert recorder.refusal is Reason.UNCOMMITTED
        with recording() as recorder:
            Tag.objects.count()
        assert recorder.refusal is None

    def test_what_has_nothing_to_do_with_the_change_is_served(self, tracked):
        cache.get_or_set("users", get_user_model().objects.count, None)
        with transaction.atomic():
            TagFactory()

            assert cache.has_key("users")

    def test_after_a_rollback_everything_is_as_before(self, tracked):
        with transaction.atomic():
            TagFactory()
            transaction.set_rollback(True)

        # What is lost by it is the first result, because nobody knows yet how the transaction ended.
        for _ in range(2):
            assert computed() == 0
        assert is_kept()

    def test_a_rollback_is_forgotten_with_the_request(self, tracked):
        computed()
        with transaction.atomic():
            TagFactory()
            transaction.set_rollback(True)
        self.by_somebody_else(self.keep_what_is_old)

        request_finished.send(type(self))
        self.by_somebody_else(self.keep_what_is_old)

        assert is_kept()

    def test_a_change_in_a_savepoint_that_was_rolled_back_and_one_after_it(self, tracked):
        with transaction.atomic():
            with transaction.atomic():
                TagFactory(name="a")
                transaction.set_rollback(True)
            TagFactory(name="b")
            self.by_somebody_else(self.keep_what_is_old)

        # On commit, not only with the next statement.
        assert not self.by_somebody_else(is_kept)
        assert computed() == 1

    def test_a_transaction_that_went_back_to_a_savepoint_is_no_younger(self, tracked):
        with transaction.atomic():
            Tag.objects.exists()
            with recording() as recorder:
                with apart(), transaction.atomic():
                    TagFactory()
                    transaction.set_rollback(True)
                list(Post.objects.all())

        assert recorder.refusal is Reason.SNAPSHOT

    def test_what_holds_an_old_fragment_is_old(self, tracked):
        with transaction.atomic():
            Tag.objects.exists()
            with recording() as page, recording():
                Tag.objects.exists()

        assert page.refusal is Reason.SNAPSHOT

    def test_who_waits_for_a_value_is_not_given_what_is_not_committed(self, tracked):
        with ThreadPoolExecutor(1) as executor, transaction.atomic():
            TagFactory()
            waiting = []

            def compute():
                waiting.append(executor.submit(cache.get_or_set, "value", lambda: "committed"))
                wait(waiting, timeout=0.3)
                return Tag.objects.count()

            assert cache.get_or_set("value", compute) == 1
            assert waiting[0].result() == "committed"

    def test_the_hook_of_somebody_else_that_fails_loses_no_expiry(self, tracked):
        def fail():
            raise RuntimeError("hook")

        def change():
            with transaction.atomic():
                transaction.on_commit(fail)
                TagFactory()
                self.by_somebody_else(self.keep_what_is_old)

        with pytest.raises(RuntimeError, match="hook"):
            change()

        assert cache.get("value") is None
        assert Tag.objects.exists()
        assert self.by_somebody_else(lambda: cache.get("value")) is None

    def test_what_is_computed_in_a_transaction_that_is_older_is_not_kept_on_sqlite(self, tracked):
        with transaction.atomic():
            Tag.objects.exists()

            assert computed() == 0
            assert not is_kept()

    def test_what_begins_its_own_transaction_is_kept(self, tracked):
        def read():
            with transaction.atomic():
                return Tag.objects.count()

        for _ in range(2):
            assert computed(read) == 0
            assert is_kept()
            cache.delete("value")

    def test_a_fragment_in_a_younger_transaction_costs_the_page_nothing(self, tracked):
        with recording() as page, transaction.atomic():
            Tag.objects.exists()
            with recording() as fragment:
                Tag.objects.exists()

        assert fragment.refusal is Reason.SNAPSHOT
        assert page.refusal is None

    @staticmethod
    def keep_what_is_old():
        """As somebody would who cannot see the change yet."""
        return cache.get_or_set("value", lambda: "old", None, tags=tag("blog_tag"))

    @staticmethod
    def expiries(act):
        ProbedCache.reset()
        act()
        return ProbedCache.calls.count("remove")

    @staticmethod
    def by_somebody_else(act):
        """In a thread without the context, and so outside of the transaction. It does not ask the database."""
        with ThreadPoolExecutor(1) as executor:
            return executor.submit(act).result()


class TestCost:
    def test_off_there_is_no_wrapper(self):
        Tag.objects.exists()

        assert connection.execute_wrappers == []
        assert watches() == []

    def test_a_query_that_nobody_records_is_neither_read_nor_told_to_the_store(self, tracked, monkeypatch):
        monkeypatch.setattr("cacheplus.tables.watch.effect", None)
        monkeypatch.setattr("cacheplus.tables.watch.schema", None)
        ProbedCache.reset()

        assert not Tag.objects.filter(name="x").exists()
        assert ProbedCache.calls == []

    def test_a_query_is_read_once_however_often_it_is_sent(self, tracked, monkeypatch):
        asked = []
        monkeypatch.setattr(schemas, "read", lambda *args, read=schemas.read: asked.append(args) or read(*args))
        schemas._remembered.cache_clear()

        with recording():
            for name in ("a", "b", "c"):
                Tag.objects.filter(name=name).exists()

        assert len(asked) == 1

    def test_a_recorded_query_costs_no_call_to_the_store_and_no_query(self, tracked, django_assert_num_queries):
        ProbedCache.reset()

        with recording(), django_assert_num_queries(2):
            Tag.objects.exists()
            list(Post.objects.select_related("author"))

        assert ProbedCache.calls == []

    def test_a_value_costs_the_same_however_many_tables_it_was_made_from(self, tracked):
        make()

        def calls(read):
            cache.delete("value")
            ProbedCache.reset()
            computed(read)
            return ProbedCache.calls

        def one():
            Tag.objects.exists()

        def many():
            list(Comment.objects.select_related("post__author").prefetch_related("post__tags"))
            list(Post.objects.prefetch_related("tags", "comments"))

        for read in (one, many):
            # Look up and take the lease; read the stamps, make the missing ones, read the fence; store.
            assert calls(read) == ["read", "add", "read", "add_many", "read", "swap"]
        assert calls(many) == ["read", "add", "read", "read", "swap"]
        ProbedCache.reset()
        computed(many)
        assert ProbedCache.calls == ["read", "read"]

    def test_a_write_costs_one_expiry(self, tracked):
        ProbedCache.reset()

        Tag.objects.update(name="x")

        # Read and move the fence; delete the stamp.
        assert ProbedCache.calls == ["read", "write", "remove"]


class TestSwitch:
    def test_a_connection_is_watched_once_and_outermost(self, tracked):
        def other(execute, *args):
            return execute(*args)

        with connection.execute_wrapper(other):
            switch_on()
            connection_created.send(type(connection), connection=connection)
            assert [type(each) for each in connection.execute_wrappers[:1]] == [TableWatch]
        assert [type(each) for each in connection.execute_wrappers] == [TableWatch]

    def test_the_first_statement_of_a_new_connection_is_seen(self, tracked):
        fresh = connection.copy()
        try:
            with recording() as recorder, fresh.cursor() as cursor:
                cursor.execute("SELECT * FROM blog_tag, sqlite_master")
            assert recorder.refusal is Reason.UNTRACKED
        finally:
            BaseDatabaseWrapper.close(fresh)

    def test_two_aliases_of_one_database_are_one(self):
        default = connections["default"]

        assert database_name(default) == database_name(default.copy("other"))

    def test_a_mirror_is_the_database_that_it_mirrors(self):
        mirror = connections["default"].copy("mirror")
        mirror.settings_dict["NAME"] = "elsewhere"
        mirror.settings_dict["TEST"] = {"MIRROR": "default"}

        assert database_name(mirror) == database_name(connections["default"])

    @pytest.mark.parametrize("host", ["", "localhost", "10.0.0.7"])
    def test_a_database_is_known_by_its_name_not_by_its_host(self, host):
        copied = connections["default"].copy("x")
        copied.settings_dict.update(NAME="file:blog?x", HOST=host)

        assert database_name(copied) == "file:blog?x"

    def test_a_file_is_one_database_however_its_path_is_written(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        copied, named = connections["default"].copy("x"), []
        for name in ("blog.db", tmp_path / "blog.db", f"{tmp_path}/./blog.db"):
            copied.settings_dict["NAME"] = name
            named.append(database_name(copied))

        assert len(set(named)) == 1
