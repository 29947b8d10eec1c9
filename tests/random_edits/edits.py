"""Edits of the blog, by every way that a site has to write its tables. Each is made with the random numbers given."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from django.contrib.auth import get_user_model
from django.core import serializers
from django.core.management import call_command
from django.db import connection
from django.db.models import CharField, F, Value
from django.db.models.functions import Concat
from django.test import Client
from django.urls import reverse

from testproject.blog.models import Comment, Post, Tag

Edit = Callable[[Random], None]


class Editor:
    """Somebody who may do everything, by the site and behind its back."""

    def __init__(self) -> None:
        self.client = Client()
        self.client.force_login(get_user_model().objects.get(username="admin"))

    def edits(self) -> list[Edit]:
        named = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("edit_")]
        return [edit for edit in named if callable(edit)]

    def edit_post_in_the_admin(self, chance: Random) -> None:
        post = _any(Post, chance)
        self._submit(
            reverse("admin:blog_post_change", args=[post.pk]),
            title=_text(chance),
            slug=post.slug,
            lead=_text(chance),
            body=post.body,
            author=post.author_id,
            published_at_0=post.published_at.strftime("%Y-%m-%d"),
            published_at_1=post.published_at.strftime("%H:%M:%S"),
            tags=[tag.pk for tag in chance.sample(list(Tag.objects.all()), 2)],
        )

    def edit_by_deleting_comments_in_the_admin(self, chance: Random) -> None:
        comment = _any(Comment, chance)
        CommentMaker.make(comment.post, chance)
        self._submit(
            reverse("admin:blog_comment_changelist"),
            action="delete_selected",
            _selected_action=[comment.pk],
            post="yes",
        )

    def edit_by_the_api(self, chance: Random) -> None:
        change = {"slug": _any(Post, chance).slug, "lead": _text(chance)}
        response = self.client.post(reverse("blog:api-posts"), json.dumps(change), content_type="application/json")
        assert response.status_code == 200, response.content

    def edit_by_the_comment_form(self, chance: Random) -> None:
        self._submit(reverse("blog:comment", args=[_any(Post, chance).slug]), name=_text(chance), text=_text(chance))

    def edit_by_save(self, chance: Random) -> None:
        post = _any(Post, chance)
        post.title = _text(chance)
        post.save()

    def edit_by_save_of_a_tag(self, chance: Random) -> None:
        tag = _any(Tag, chance)
        tag.name = _text(chance)
        tag.save(update_fields=["name"])

    def edit_by_update(self, chance: Random) -> None:
        title = Concat(Value(f"{_text(chance)} "), F("slug"), output_field=CharField())
        Post.objects.filter(pk=_any(Post, chance).pk).update(title=title)

    def edit_author_by_update(self, chance: Random) -> None:
        get_user_model().objects.filter(pk=_any(Post, chance).author_id).update(first_name=_text(chance))

    def edit_by_bulk_create(self, chance: Random) -> None:
        post = _any(Post, chance)
        Comment.objects.bulk_create(Comment(post=post, name=_text(chance), text=_text(chance)) for _ in range(3))

    def edit_by_bulk_update(self, chance: Random) -> None:
        posts = list(Post.objects.all()[:3])
        for post in posts:
            post.lead = _text(chance)
        Post.objects.bulk_update(posts, ["lead"])

    def edit_by_delete_of_a_queryset(self, chance: Random) -> None:
        kept = [CommentMaker.make(post, chance).pk for post in Post.objects.all()[:2]]
        Comment.objects.exclude(pk__in=kept).filter(post=_any(Post, chance)).delete()

    def edit_by_delete_of_a_post(self, chance: Random) -> None:
        """What refers to it goes along; another takes its place."""
        post = _any(Post, chance)
        tags = list(post.tags.all())
        post.delete()
        post.pk = None
        post.save(force_insert=True)
        post.tags.set(tags)
        CommentMaker.make(post, chance)

    def edit_relations_by_set(self, chance: Random) -> None:
        _any(Post, chance).tags.set(chance.sample(list(Tag.objects.all()), 2))

    def edit_relations_by_add_and_remove(self, chance: Random) -> None:
        post, tag = _any(Post, chance), _any(Tag, chance)
        change = post.tags.remove if post.tags.contains(tag) else post.tags.add
        change(tag)

    def edit_relations_from_behind(self, chance: Random) -> None:
        tag = _any(Tag, chance)
        tag.posts.clear()
        tag.posts.add(_any(Post, chance))

    def edit_by_raw_sql(self, chance: Random) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE blog_post SET lead = %s WHERE id = %s", [_text(chance), _any(Post, chance).pk])

    def edit_by_executemany(self, chance: Random) -> None:
        rows = [(_text(chance), comment.pk) for comment in Comment.objects.all()[:2]]
        with connection.cursor() as cursor:
            cursor.executemany('update "blog_comment" set text = %s where id = %s', rows)

    def edit_by_insert_from_select(self, chance: Random) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO blog_comment (post_id, name, text, written_at)"
                " SELECT id, %s, title, published_at FROM blog_post WHERE id = %s",
                [_text(chance), _any(Post, chance).pk],
            )

    def edit_by_loaddata(self, chance: Random) -> None:
        comment = _any(Comment, chance)
        comment.text = _text(chance)
        with tempfile.TemporaryDirectory() as directory:
            fixture = Path(directory, "comment.json")
            fixture.write_text(serializers.serialize("json", [comment]))
            call_command("loaddata", str(fixture), verbosity=0)

    def _submit(self, path: str, **data: object) -> None:
        response = self.client.post(path, data)
        assert response.status_code == 302, response.content.decode()


class CommentMaker:
    """Keeps the blog in comments while others delete them."""

    @staticmethod
    def make(post: Post, chance: Random) -> Comment:
        return Comment.objects.create(post=post, name=_text(chance), text=_text(chance))


def _any(model: type, chance: Random) -> object:
    return chance.choice(list(model._default_manager.order_by("pk")))


def _text(chance: Random) -> str:
    return f"edit {chance.getrandbits(40):x}"
