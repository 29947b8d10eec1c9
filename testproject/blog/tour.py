"""A tour of the blog: what the cache does with each page, and what a change takes out of it.

Every line says what was observed. Nothing is assumed of how the site is set up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.core.cache import caches
from django.core.cache.utils import make_template_fragment_key
from django.urls import reverse

from testproject.blog.models import Post
from testproject.blog.visitors import Answer, Page, Visitor


class Section(NamedTuple):
    """What the tour shows at one stop."""

    heading: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A cached part of a template, as one language sees it."""

    label: str
    name: str
    vary_on: tuple[str, ...] = ("en",)

    def __str__(self) -> str:
        return f"fragment: {self.label}"

    @property
    def is_stored(self) -> bool:
        return caches["template_fragments"].has_key(make_template_fragment_key(self.name, self.vary_on))


class Tour:
    """Through a blog that was just filled. The stops are to be made in order, once."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._post, *others = Post.objects.exclude(title__contains="ferry")[:3]
        self._form = reverse("blog:comment", args=[self._post.slug])
        self._pages = _pages(self._post, others, self._form)
        self._fragments = (
            Fragment("comments of that post", "comments", (str(self._post.pk), "en")),
            Fragment("latest comments", "latest_comments"),
            Fragment("tags in the sidebar", "tag_cloud"),
        )

    def stops(self) -> Iterator[Section]:
        yield self.each_page_twice()
        yield self.an_edit()
        yield self.a_comment()
        yield self.a_login()

    def each_page_twice(self) -> Section:
        """Fills the cache, and shows what that saves. Visitors are new: none has a cookie."""
        rows = []
        for page in self._pages:
            first, second = Visitor(self._host).get(page), Visitor(self._host).get(page)
            rows.append((page, second.response.status_code, first.outcome, _ms(first), second.outcome, _ms(second)))
        return Section(
            "Each page for two visitors: rendered for the first, served from the cache to the second",
            _table(("page", "status", "first visitor", "ms", "second visitor", "ms"), rows),
        )

    def an_edit(self) -> Section:
        """Through the ORM, as the admin or a script would."""
        self._post.title += ", with a correction"
        self._post.save()
        return Section(f"post.save(): a new title for {self._post.get_absolute_url()}", self._aftermath())

    def a_comment(self) -> Section:
        """Through the form, by somebody who then sees it, and is thanked in private."""
        writer, page = Visitor(self._host), Page(self._post.get_absolute_url())
        sent = writer.send(self._form, name="Nora", text="I had the moon upside down. Thank you!")
        aftermath = self._aftermath()
        answers = [("Nora", writer.get(page)), ("a stranger", Visitor(self._host).get(page))]
        rows = [(name, answer.outcome, _seen("Thank you, Nora", answer)) for name, answer in answers]
        return Section(
            f"A comment through the form ({sent.response.status_code})",
            [*aftermath, "", *_table(("who looks at the post", "outcome", "is thanked"), rows)],
        )

    def a_login(self) -> Section:
        """The same address, for two visitors who must not see each other's page."""
        home, rosa = Page(reverse("blog:home")), Visitor(self._host)
        rosa.log_in("reader")
        answers = [
            ("Rosa", rosa.get(home)),
            ("a stranger", Visitor(self._host).get(home)),
            ("Rosa again", rosa.get(home)),
        ]
        rows = [(name, answer.outcome, _seen("Hello, Rosa", answer)) for name, answer in answers]
        return Section("A reader logs in", _table(("who asks for /", "outcome", "is greeted as Rosa"), rows))

    def _aftermath(self) -> list[str]:
        """What is still there after a change. Fragments are asked first: the visits put them back."""
        fragments = [(str(each), "still there" if each.is_stored else "expired", "") for each in self._fragments]
        answers = [(str(page), Visitor(self._host).get(page)) for page in self._pages]
        pages = [(path, _verdict(answer), answer.outcome) for path, answer in answers]
        return _table(("", "is now", "next visit"), [*pages, *fragments])


def _pages(post: Post, others: Sequence[Post], form: str) -> list[Page]:
    home, path = reverse("blog:home"), post.get_absolute_url()
    return [
        Page(home),
        Page(home, "de"),
        Page(f"{home}?page=2"),
        Page(path),
        Page(path, "de"),
        *(Page(other.get_absolute_url()) for other in others),
        *(Page(tag.get_absolute_url()) for tag in post.tags.all()[:1]),
        Page(reverse("blog:archive")),
        Page(reverse("blog:search") + "?q=harbour"),
        Page(reverse("blog:api-posts")),
        Page(reverse("blog:feed")),
        Page(reverse("sitemap")),
        Page(form),
    ]


def _verdict(answer: Answer) -> str:
    if answer.is_hit:
        return "still there"
    return "expired" if answer.is_stored else "never stored"


def _seen(text: str, answer: Answer) -> str:
    return "yes" if text in answer.text else "no"


def _ms(answer: Answer) -> str:
    return f"{answer.milliseconds:.1f}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Columns as wide as their widest cell; numbers stand to the right."""
    cells = [[str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(_aligned(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _aligned(cell: str, width: int) -> str:
    is_number = cell == "ms" or cell.replace(".", "", 1).isdecimal()
    return cell.rjust(width) if is_number else cell.ljust(width)
