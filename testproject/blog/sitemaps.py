from datetime import datetime

from django.contrib.sitemaps import GenericSitemap, Sitemap
from django.db.models import QuerySet
from django.urls import reverse

from testproject.blog.models import Post, Tag


class PostSitemap(Sitemap):
    changefreq = "monthly"

    def items(self) -> QuerySet[Post]:
        return Post.objects.all()

    def lastmod(self, item: Post) -> datetime:
        return item.published_at


class PageSitemap(Sitemap):
    def items(self) -> list[str]:
        return ["blog:home", "blog:archive"]

    def location(self, item: str) -> str:
        return reverse(item)


SITEMAPS = {"pages": PageSitemap, "posts": PostSitemap, "tags": GenericSitemap({"queryset": Tag.objects.all()})}
