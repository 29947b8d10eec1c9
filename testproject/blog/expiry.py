"""What expires when something changes.

Pages and fragments carry tags for what they show; a change expires tags. Nothing here knows which pages there are, but
for the two at fixed addresses whose views are Django's.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models.signals import post_delete, post_save
from django.urls import reverse

from cacheplus import expire_on_change, expire_tags, expire_view_cache
from testproject.blog.models import Comment, Post, Tag

# What every list of posts carries, and what every list of comments of all posts does.
POSTS = "posts"
COMMENTS = "comments"


def watch() -> None:
    """Called once, when the models are there."""
    expire_on_change(Post, Tag, tags=lambda changed: [changed.cache_tag, POSTS])
    expire_on_change(Comment, tags=lambda comment: [comment.cache_tag, COMMENTS])
    for signal in (post_save, post_delete):
        signal.connect(expire_listings, sender=Post)
        signal.connect(expire_listings, sender=Tag)
    post_save.connect(expire_author, sender=get_user_model())


def expire_listings(**_: Any) -> None:
    """What the views of Django list."""
    expire_view_cache(reverse("blog:feed"))
    expire_view_cache(reverse("sitemap"))


def expire_author(instance: Any, update_fields: frozenset[str] | None, **_: Any) -> None:
    """Posts show the name of their author. That somebody logged in changes nothing that is shown."""
    if update_fields != frozenset({"last_login"}):
        expire_tags(author_tag(instance.pk), POSTS)
        expire_view_cache(reverse("blog:feed"))


def author_tag(key: int) -> str:
    """What shows the name of the user with this primary key."""
    return f"author-{key}"
