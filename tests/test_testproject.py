"""The blog in testproject/, as its visitors meet it, on the embedded store."""

import gettext
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as site_settings
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import AsyncClient

from cacheplus import cache_url, expire_fragment, expire_view_cache
from testproject.blog.factories import CommentFactory, PostFactory, fill
from testproject.blog.management.commands.demo import free_port_or
from testproject.blog.models import Comment, Post, Tag
from testproject.blog.visitors import Page, Visitor
from tests.servers import free_port

ROOT = Path(site_settings.BASE_DIR)
HOST = "blog.example"

POST = "/posts/how-to-read-a-tide-table/"  # by Tom; How-to, Sea
RYE = "/posts/a-rye-loaf-for-people-with-no-time/"  # by Marta; Kitchen, How-to
CHOIR = "/posts/the-choir-is-looking-for-basses/"  # by Marta; Town
FORM = f"{POST}comment/"

HOMES = {Page("/"), Page("/", "de"), Page("/?page=2")}
LISTS = HOMES | {Page("/tags/how-to/"), Page("/archive/"), Page("/search/?q=harbour"), Page("/api/posts/")}
FEEDS = {Page("/feed/"), Page("/sitemap.xml")}
THE_POST = {Page(POST), Page(POST, "de")}
OTHERS = {Page(RYE), Page(CHOIR)}
ALL = LISTS | FEEDS | THE_POST | OTHERS
HTML = sorted(ALL - FEEDS - {Page("/api/posts/")}, key=str)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return f"lmdb://{tmp_path_factory.mktemp('cache')}"


@pytest.fixture(autouse=True)
def blog(request, settings, store):
    """A filled blog whose caches are empty, for the tests that use the database."""
    if "db" not in request.fixturenames and not request.node.get_closest_marker("django_db"):
        return
    request.getfixturevalue("db")
    prefix = secrets.token_hex(4)
    settings.CACHES = {
        "default": cache_url(store, KEY_PREFIX=f"{prefix}.pages"),
        "template_fragments": cache_url(store, KEY_PREFIX=f"{prefix}.fragments"),
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    fill()


def get(page):
    """What somebody gets who was never here."""
    return Visitor(HOST).get(page)


def warm():
    for page in ALL:
        get(page)
    assert all(get(page).is_hit for page in ALL)


def gone():
    """The pages that are no longer in the cache."""
    return {page for page in ALL if not get(page).is_hit}


def the_post():
    return Post.objects.get(slug=POST.split("/")[2])


def user(name):
    return get_user_model().objects.get(username=name)


# Each kind of page


@pytest.mark.django_db
@pytest.mark.parametrize("page", sorted(ALL, key=str), ids=str)
def test_a_page_is_rendered_once(page):
    first, second = get(page), get(page)

    assert (first.response.status_code, first.is_stored, first.is_hit) == (200, True, False)
    assert (second.response.status_code, second.is_hit) == (200, True)
    assert second.text == first.text


@pytest.mark.django_db
@pytest.mark.parametrize("page", sorted(ALL, key=str), ids=str)
def test_a_hit_asks_the_database_nothing(page, django_assert_num_queries):
    get(page)

    with django_assert_num_queries(0):
        assert get(page).is_hit


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "reason"), [(FORM, "csrf"), ("/login/", "no-store"), ("/posts/none/", "status")])
def test_what_is_not_stored_says_why(path, reason):
    for _ in range(2):
        assert f"detail={reason}" in get(Page(path)).outcome


@pytest.mark.django_db
def test_no_page_is_left_to_a_browser_that_no_expiry_reaches():
    assert {get(page).response.headers["Cache-Control"].split(",")[0] for page in HTML} == {"max-age=0"}


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", "?q=", "?q=no such words", "?q=moon"])
def test_search(query):
    found = re.findall(r'<h2><a href="([^"]+)"', get(Page(f"/search/{query}")).text)

    assert found == ([POST] if "moon" in query else [])


@pytest.mark.django_db
def test_the_async_view_under_an_async_server():
    client = AsyncClient(headers={"host": HOST})
    fetch = async_to_sync(client.get)

    assert "stored" in fetch("/search/", {"q": "harbour"}).headers["Cache-Status"]
    assert "hit" in fetch("/search/", {"q": "harbour"}).headers["Cache-Status"]
    client.force_login(user("reader"))
    assert "Hello, Rosa Reader" in fetch("/search/", {"q": "harbour"}).content.decode()


@pytest.mark.django_db
def test_the_api_describes_every_post():
    described = json.loads(get(Page("/api/posts/")).text)["posts"]

    assert [each["title"] for each in described] == [post.title for post in Post.objects.all()]
    assert described[1]["url"] == f"http://{HOST}{POST}"
    assert described[1]["tags"] == ["How-to", "Sea"]


@pytest.mark.django_db
def test_one_address_in_two_languages():
    visitor = Visitor(HOST)

    assert '<html lang="en">' in visitor.get(Page("/")).text
    visitor.client.post("/language/", {"language": "de", "next": "/"})
    assert "Neueste Kommentare" in visitor.get(Page("/")).text
    assert "Latest comments" in get(Page("/")).text
    assert "Neueste Kommentare" in get(Page("/", "de")).text


# What a change takes with it, and what not


def edit(post):
    post.title = "How to read a moon"
    post.save()


CHANGES = {
    "a post is edited": (lambda: edit(the_post()), LISTS | FEEDS | THE_POST),
    "a post is added": (lambda: PostFactory(author=user("admin")), LISTS | FEEDS),
    "a post is deleted": (lambda: the_post().delete(), LISTS | FEEDS | THE_POST),
    "a post loses a tag": (lambda: the_post().tags.remove(Tag.objects.get(slug="sea")), LISTS | THE_POST),
    "a tag is given to a post": (lambda: Tag.objects.get(slug="ferry").posts.add(the_post()), LISTS | THE_POST),
    "a tag is renamed": (
        lambda: Tag(pk=Tag.objects.get(slug="how-to").pk, name="Craft", slug="how-to").save(),
        LISTS | FEEDS | THE_POST | {Page(RYE)},
    ),
    "a comment is added": (lambda: CommentFactory(post=the_post()), HOMES | THE_POST),
    "a comment is deleted": (lambda: the_post().comments.first().delete(), HOMES | THE_POST),
    "an author is renamed": (
        lambda: user("marta-lindqvist").save(),
        LISTS | {Page("/feed/"), *OTHERS},
    ),
    # An unsafe request expires what its redirect names.
    "somebody logs in": (lambda: Visitor(HOST).log_in("reader"), HOMES),
    "a page is expired by its path": (lambda: expire_view_cache("/"), HOMES),
    "a page is expired by its object": (lambda: expire_view_cache(the_post()), THE_POST),
    "a fragment is expired": (lambda: expire_fragment("latest_comments"), HOMES),
    "one language of a fragment is expired": (
        lambda: expire_fragment("latest_comments", ["de"]),
        {Page("/", "de")},
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_a_change_takes_with_it_what_shows_it_and_nothing_else(change, expected):
    warm()

    change()

    assert gone() == expected


@pytest.mark.django_db
def test_the_new_title_is_on_every_page_that_shows_it():
    showing = {Page("/"), Page("/archive/"), Page("/api/posts/"), Page("/feed/"), *THE_POST}
    warm()

    edit(the_post())

    assert {page for page in ALL if "How to read a moon" in get(page).text} >= showing
    assert [page for page in ALL if "How to read a tide table" in get(page).text] == []


@pytest.mark.django_db
def test_a_page_that_a_user_was_the_first_to_ask_for_expires_likewise():
    reader = Visitor(HOST)
    reader.log_in("reader")
    reader.get(Page("/api/posts/"))

    edit(the_post())

    assert "How to read a moon" in get(Page("/api/posts/")).text


@pytest.mark.django_db
def test_the_comments_of_a_post_are_not_rendered_again_when_it_is_edited(django_assert_max_num_queries):
    warm()
    edit(the_post())

    with django_assert_max_num_queries(5) as queries:
        get(Page(POST))

    assert [query["sql"] for query in queries.captured_queries if "blog_comment" in query["sql"]] == []
    assert any("blog_post" in query["sql"] for query in queries.captured_queries)


@pytest.mark.django_db
def test_the_admin_expires_what_it_changes():
    admin = Visitor(HOST)
    admin.log_in("admin")
    warm()
    tag = Tag.objects.get(slug="how-to")

    sent = admin.send(f"/admin/blog/tag/{tag.pk}/change/", name="Craft", slug="how-to")

    assert sent.response.status_code == 302
    assert "Posts about Craft" in get(Page("/tags/how-to/")).text
    assert admin.get(Page("/admin/blog/post/")).outcome == "fwd=uri-miss; detail=no-store"


# One visitor's page is never another's


@pytest.mark.django_db
@pytest.mark.parametrize("order", [("reader", "admin", None), (None, "reader", "admin"), ("admin", None, "reader")])
def test_nobody_is_greeted_as_somebody_else(order):
    visitors = {name: Visitor(HOST) for name in order}
    greetings = {"reader": ["Rosa Reader"], "admin": [user("admin").get_full_name()], None: []}
    for name in filter(None, order):
        visitors[name].log_in(name)

    wrong = [
        (page, name, greeted)
        for _ in range(2)
        for page in HTML
        for name in order
        if (greeted := re.findall(r"(?:Hello|Hallo), ([^<]+)<", visitors[name].get(page).text)) != greetings[name]
    ]

    assert wrong == []


@pytest.mark.django_db
@pytest.mark.parametrize("path", [FORM, "/login/"])
def test_nobody_gets_the_token_of_somebody_else(path):
    visitors = [Visitor(HOST) for _ in range(3)]
    visitors[0].log_in("reader")

    texts = [visitor.get(Page(path)).text for visitor in visitors]

    tokens = [re.findall(r'csrfmiddlewaretoken" value="(\w+)"', text) for text in texts]
    assert all(tokens)
    for visitor, theirs in zip(visitors, tokens, strict=True):
        answers = [visitor.client.post("/login/", {"csrfmiddlewaretoken": token[-1]}).status_code for token in tokens]
        assert [status == 403 for status in answers] == [token is not theirs for token in tokens]


@pytest.mark.django_db
def test_a_page_without_a_form_gives_nobody_a_cookie():
    for _ in range(2):
        visitor = Visitor(HOST)
        visitor.get(Page("/"))
        assert not visitor.client.cookies


@pytest.mark.django_db
def test_thanks_for_a_comment_are_for_its_writer_alone():
    page, writer, other = Page(POST), Visitor(HOST), Visitor(HOST)
    other.get(Page(FORM))
    warm()

    sent = writer.send(FORM, name="Nora", text="Thank you!")

    assert sent.response.status_code == 302
    assert ["Thank you, Nora" in visitor.get(page).text for visitor in (other, writer, other, writer)] == [
        False,
        True,
        False,
        False,
    ]
    assert "Thank you!" in get(page).text
    assert "Thank you, Nora" not in get(page).text


@pytest.mark.django_db
def test_a_comment_without_the_token_is_refused():
    refused = Visitor(HOST).client.post(FORM, {"name": "Nora", "text": "Thank you!"})

    assert refused.status_code == 403
    assert not Comment.objects.filter(name="Nora").exists()


@pytest.mark.django_db
def test_an_empty_comment_is_shown_its_errors():
    answer = Visitor(HOST).send(FORM, name="", text="")

    assert answer.response.status_code == 200
    assert answer.text.count("errorlist") == 2


@pytest.mark.django_db
def test_who_logs_out_is_a_stranger_again():
    visitor = Visitor(HOST)
    visitor.log_in("reader")
    token = visitor.client.cookies["csrftoken"].value

    visitor.client.post("/logout/", {"csrfmiddlewaretoken": token})

    assert "Log in" in visitor.get(Page("/")).text


# The site as a whole


def test_the_site_passes_the_system_checks():
    assert run_checks(include_deployment_checks=False) == []
    assert [each.id for each in run_checks(tags=["cacheplus"], include_deployment_checks=True)] == []


@pytest.mark.django_db
def test_the_migrations_are_those_of_the_models():
    call_command("makemigrations", "blog", check_changes=True, dry_run=True, verbosity=0)


def test_the_compiled_translation_is_that_of_its_source():
    folder = ROOT / "testproject/blog/locale/de/LC_MESSAGES"
    entries = re.findall(
        r'^msgid "(.+)"\n(?:msgid_plural ".*"\n)?msgstr(?:\[0\])? "(.*)"$',
        (folder / "django.po").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    with (folder / "django.mo").open("rb") as compiled:
        catalog = gettext.GNUTranslations(compiled)._catalog

    assert {source: catalog.get(source, catalog.get((source, 0))) for source, _ in entries} == dict(entries)
    assert len(entries) == len({key[0] if isinstance(key, tuple) else key for key in catalog} - {""})


def texts(pattern, suffix):
    for path in (ROOT / "testproject/blog").rglob(f"*.{suffix}"):
        yield from re.findall(pattern, path.read_text(encoding="utf-8"))


def test_every_word_of_the_templates_is_translated():
    source = (ROOT / "testproject/blog/locale/de/LC_MESSAGES/django.po").read_text(encoding="utf-8")
    used = {words for _, words in texts(r"\{% translate ([\"'])(.+?)\1 %\}", "html")}
    used |= {words for _, words in texts(r"\b_\(([\"'])(.+?)\1\)", "py")}

    assert sorted(words for words in used if f'msgid "{words}"' not in source) == []


# The demo


def demo(var, *arguments):
    environment = {**os.environ, "TESTPROJECT_VAR": str(var), "DJANGO_COLORS": "nocolor"}
    environment.pop("CACHE_URL", None)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "manage.py", "demo", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What runs the tests may ignore Ctrl-C, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 (it locks nothing)
    )


def without_times(text):
    return " ".join(re.sub(r"\b\d+\.\d\b|ttl=\d+", "", text).split())


def first_answer(address, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(address, timeout=5)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_the_demo_shows_what_it_promises_and_then_serves_it(tmp_path):
    port = free_port()
    first = demo(tmp_path, "--no-serve", "--port", str(port))
    shown, complaints = first.communicate(timeout=120)
    assert (first.returncode, complaints) == (0, "")
    assert "LMDBCache" in shown
    warmed, edited, commented, logged_in = re.split(r"^\d\. ", shown, flags=re.MULTILINE)[1:]
    assert warmed.count("hit; ttl=") == 13
    assert re.search(rf"^  {POST} +expired", edited, flags=re.MULTILINE)
    assert re.search(rf"^  {RYE} +still there", edited, flags=re.MULTILINE)
    assert re.search(r"^  fragment: comments of that post +still there", edited, flags=re.MULTILINE)
    assert re.search(r"^  fragment: comments of that post +expired", commented, flags=re.MULTILINE)
    assert re.search(r"^  /feed/ +still there", commented, flags=re.MULTILINE)
    assert re.search(r"^  Nora .* yes$", commented, flags=re.MULTILINE)
    assert re.findall(r" (yes|no)$", logged_in, flags=re.MULTILINE) == ["yes", "no", "yes"]

    again = demo(tmp_path, "--port", str(port))
    try:
        # Another process filled the store; a real request is a hit from the first.
        with first_answer(f"http://127.0.0.1:{port}/") as answer:
            assert answer.headers["Cache-Status"].startswith("cacheplus; hit")
        with first_answer(f"http://127.0.0.1:{port}/static/blog/style.css") as answer:
            assert answer.headers["Content-Type"] == "text/css"
    finally:
        again.send_signal(signal.SIGINT)
        served, _ = again.communicate(timeout=30)
    assert without_times(served).startswith(without_times(shown))
    assert f"http://127.0.0.1:{port}/" in served


def test_the_demo_makes_way_where_its_port_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]

        assert free_port_or(taken) != taken

    assert free_port_or(taken) == taken
