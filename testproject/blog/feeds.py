from datetime import datetime

from django.contrib.syndication.views import Feed
from django.db.models import QuerySet
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from testproject.blog.models import Post


class LatestPosts(Feed):
    title = "The Harbour Journal"
    description = _("Notes from a small town by the sea.")
    link = reverse_lazy("blog:home")

    def items(self) -> QuerySet[Post]:
        return Post.objects.select_related("author")[:10]

    def item_description(self, item: Post) -> str:
        return item.lead

    def item_author_name(self, item: Post) -> str:
        return item.author.get_full_name()

    def item_pubdate(self, item: Post) -> datetime:
        return item.published_at
