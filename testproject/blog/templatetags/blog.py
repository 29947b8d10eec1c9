"""What the fragments of the sidebar show: asked for inside of them, so that a stored fragment costs no query."""

from __future__ import annotations

from django import template
from django.db.models import Count, QuerySet

from testproject.blog.models import Comment, Tag

register = template.Library()


@register.simple_tag
def tag_counts() -> QuerySet[Tag]:
    """The tags that are in use, each with its number of `uses`."""
    return Tag.objects.annotate(uses=Count("posts")).filter(uses__gt=0)


@register.simple_tag
def latest_comments(number: int) -> QuerySet[Comment]:
    """The newest comments on any post."""
    return Comment.objects.select_related("post").order_by("-written_at", "-pk")[:number]
