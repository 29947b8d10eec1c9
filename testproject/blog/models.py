"""The blog's data. A `cache_tag` names whatever shows that object."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Tag(models.Model):
    name = models.CharField(_("name"), max_length=40, unique=True)
    slug = models.SlugField(unique=True)

    class Meta:
        ordering = ("name",)
        verbose_name = _("tag")
        verbose_name_plural = _("tags")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("blog:tag", args=[self.slug])

    @property
    def cache_tag(self) -> str:
        return f"tag-{self.pk}"


class Post(models.Model):
    title = models.CharField(_("title"), max_length=120)
    slug = models.SlugField(unique=True)
    lead = models.TextField(_("lead"))
    body = models.TextField(_("body"))
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, verbose_name=_("author"))
    published_at = models.DateTimeField(_("published"), default=timezone.now)
    tags = models.ManyToManyField(Tag, verbose_name=_("tags"), related_name="posts", blank=True)

    class Meta:
        ordering = ("-published_at",)
        verbose_name = _("post")
        verbose_name_plural = _("posts")

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("blog:post", args=[self.slug])

    @property
    def cache_tag(self) -> str:
        return f"post-{self.pk}"

    @property
    def comments_cache_tag(self) -> str:
        """Apart from the post's own: a comment leaves alone what shows the post without its comments."""
        return _comments_tag(self.pk)


class Comment(models.Model):
    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="comments", verbose_name=_("post"))
    name = models.CharField(_("name"), max_length=60)
    text = models.TextField(_("comment"))
    written_at = models.DateTimeField(_("written"), default=timezone.now)

    class Meta:
        ordering = ("written_at", "pk")
        verbose_name = _("comment")
        verbose_name_plural = _("comments")

    def __str__(self) -> str:
        return f"{self.name}: {self.text[:40]}"

    def get_absolute_url(self) -> str:
        return f"{self.post.get_absolute_url()}#comment-{self.pk}"

    @property
    def cache_tag(self) -> str:
        """One for all comments of a post: they are shown together."""
        return _comments_tag(self.post_id)


def _comments_tag(post_key: int) -> str:
    return f"comments-of-{post_key}"
