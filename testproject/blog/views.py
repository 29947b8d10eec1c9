"""The pages of the blog.

The middleware caches all of them. What a view adds is how long its page may live, and the tags that it expires with.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.generic import CreateView, DetailView, ListView, View

from cacheplus import CacheMixin, add_cache_tags, cache_page
from cacheplus.decorators import cache_control
from cacheplus.utils import patch_cache_control
from testproject.blog.expiry import POSTS, author_tag
from testproject.blog.forms import CommentForm
from testproject.blog.models import Post, Tag


class Cached:
    """For class-based views that render a template."""

    def get_cache_tags(self) -> Collection[str]:
        """What the page shows; called once its data is there."""
        return [POSTS]

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase = super().render_to_response(context, **kwargs)  # type: ignore[misc]
        # No expiry reaches a browser, so it keeps nothing and asks each time; the site's own cache answers.
        patch_cache_control(response, max_age=0, s_maxage=600)
        add_cache_tags(response, *self.get_cache_tags())
        return response


class Home(Cached, ListView):
    template_name = "blog/home.html"
    queryset = Post.objects.select_related("author").prefetch_related("tags")
    paginate_by = 4


class TagPage(Home):
    template_name = "blog/tag.html"

    def get_queryset(self) -> QuerySet[Post]:
        self.tag = get_object_or_404(Tag, slug=self.kwargs["slug"])
        return super().get_queryset().filter(tags=self.tag)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(tag=self.tag, **kwargs)


class PostPage(Cached, DetailView):
    template_name = "blog/post.html"
    queryset = Post.objects.select_related("author").prefetch_related("tags")

    def get_cache_tags(self) -> Collection[str]:
        post = self.object
        return [post.cache_tag, author_tag(post.author_id), *(tag.cache_tag for tag in post.tags.all())]


class WriteComment(CreateView):
    """Never stored, because its form holds a CSRF token. Nothing has to say so."""

    template_name = "blog/comment.html"
    form_class = CommentForm

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.post_commented = get_object_or_404(Post, slug=self.kwargs["slug"])
        self.extra_context = {"post": self.post_commented}

    def get_initial(self) -> dict[str, Any]:
        return {"name": self.request.user.get_full_name()} if self.request.user.is_authenticated else {}

    def form_valid(self, form: CommentForm) -> HttpResponse:
        form.instance.post = self.post_commented
        messages.success(self.request, _("Thank you, %(name)s. Your comment is below.") % form.cleaned_data)
        return super().form_valid(form)


@cache_page(900, tags=[POSTS])
@cache_control(max_age=0, s_maxage=900)
def archive(request: HttpRequest) -> HttpResponse:
    """Every post, by year."""
    return render(request, "blog/archive.html", {"posts": Post.objects.select_related("author")})


@cache_page(60, tags=[POSTS])
@cache_control(max_age=0, s_maxage=60)
async def search(request: HttpRequest) -> HttpResponse:
    """The posts that hold the words of `?q=` as they stand there."""
    words = request.GET.get("q", "").strip()
    matches = Q(title__icontains=words) | Q(lead__icontains=words) | Q(body__icontains=words)
    posts = Post.objects.filter(matches).select_related("author").prefetch_related("tags")
    found = [post async for post in posts[:20]] if words else []
    # The template asks for more: the visitor, the tags in the sidebar.
    return await sync_to_async(render)(request, "blog/search.html", {"words": words, "posts": found})


class PostsAPI(CacheMixin, View):
    """All posts, newest first, as JSON. Staff may send a change of one: its `slug`, and the fields that differ."""

    cache_timeout = 300
    cache_tags = (POSTS,)

    def get(self, request: HttpRequest) -> JsonResponse:
        posts = Post.objects.select_related("author").prefetch_related("tags")
        return JsonResponse(
            {"posts": [_described(post, request) for post in posts]},
            headers={"Cache-Control": "max-age=0, s-maxage=300"},
        )

    def post(self, request: HttpRequest) -> JsonResponse:
        if not request.user.is_staff:
            raise PermissionDenied
        change = json.loads(request.body)
        post = get_object_or_404(Post, slug=change.pop("slug", None))
        for name in {"title", "lead", "body"} & change.keys():
            setattr(post, name, change[name])
        post.save()
        return JsonResponse(_described(post, request))


def _described(post: Post, request: HttpRequest) -> dict[str, Any]:
    return {
        "title": post.title,
        "url": request.build_absolute_uri(post.get_absolute_url()),
        "author": post.author.get_full_name(),
        "published": post.published_at.isoformat(),
        "tags": [tag.name for tag in post.tags.all()],
        "lead": post.lead,
    }
