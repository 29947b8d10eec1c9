"""Believable content, the same on each run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import factory
from django.contrib.auth import get_user_model
from django.utils.text import slugify
from factory.django import DjangoModelFactory
from factory.random import randgen, reseed_random

from testproject.blog.models import Comment, Post, Tag

_CONTENT = tomllib.loads(Path(__file__).with_name("content.toml").read_text(encoding="utf-8"))
_NEWEST = datetime(2025, 9, 26, 7, 30, tzinfo=UTC)
_BETWEEN_POSTS = timedelta(days=41, hours=3)


class UserFactory(DjangoModelFactory):
    """A user who cannot log in, unless there is a `password`."""

    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    first_name = factory.Faker("first_name")
    last_name = factory.Faker("last_name")
    username = factory.LazyAttribute(lambda user: slugify(f"{user.first_name}-{user.last_name}"))
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")

    @factory.post_generation
    def password(self: Any, create: bool, given: str | None, **_: Any) -> None:
        self.set_password(given)
        if create:
            self.save()


class TagFactory(DjangoModelFactory):
    class Meta:
        model = Tag
        django_get_or_create = ("slug",)

    name = factory.Sequence(lambda number: f"Tag {number}")
    slug = factory.LazyAttribute(lambda tag: slugify(tag.name))


class PostFactory(DjangoModelFactory):
    """`tags` are names."""

    class Meta:
        model = Post
        skip_postgeneration_save = True

    title = factory.Sequence(lambda number: f"Post {number}")
    slug = factory.LazyAttribute(lambda post: slugify(post.title)[:50])
    lead = factory.Faker("sentence")
    body = factory.Faker("text")
    author = factory.SubFactory(UserFactory)
    published_at = factory.Sequence(lambda number: _NEWEST - number * _BETWEEN_POSTS)

    @factory.post_generation
    def tags(self: Any, create: bool, names: Iterable[str] | None, **_: Any) -> None:
        if create and names:
            self.tags.add(*(TagFactory(name=name) for name in names))


class CommentFactory(DjangoModelFactory):
    class Meta:
        model = Comment

    post = factory.SubFactory(PostFactory)
    name = factory.Faker("first_name")
    text = factory.Iterator(_CONTENT["comments"])
    written_at = factory.LazyAttribute(
        lambda comment: comment.post.published_at + timedelta(hours=randgen.randint(2, 90))
    )


def fill() -> None:
    """The whole blog, into empty tables: what `content.toml` holds, and two users whose passwords are their names."""
    reseed_random("the harbour journal")
    for sequence in (UserFactory, TagFactory, PostFactory):
        sequence.reset_sequence(0)
    CommentFactory.text.reset()
    authors = [UserFactory(**names) for names in _CONTENT["authors"]]
    for number, draft in enumerate(_CONTENT["posts"]):
        body = "\n\n".join(" ".join(paragraph.split()) for paragraph in draft["body"].split("\n\n"))
        post = PostFactory(**{**draft, "body": body, "author": authors[number % len(authors)]})
        CommentFactory.create_batch(randgen.randint(1, 4), post=post)
    UserFactory(first_name="Rosa", last_name="Reader", username="reader", password="reader")
    UserFactory(username="admin", password="admin", is_staff=True, is_superuser=True)
