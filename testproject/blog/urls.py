from django.urls import path

from testproject.blog import views
from testproject.blog.feeds import LatestPosts

app_name = "blog"

urlpatterns = [
    path("", views.Home.as_view(), name="home"),
    path("posts/<slug:slug>/", views.PostPage.as_view(), name="post"),
    path("posts/<slug:slug>/comment/", views.WriteComment.as_view(), name="comment"),
    path("tags/<slug:slug>/", views.TagPage.as_view(), name="tag"),
    path("archive/", views.archive, name="archive"),
    path("search/", views.search, name="search"),
    path("api/posts/", views.PostsAPI.as_view(), name="api-posts"),
    path("feed/", LatestPosts(), name="feed"),
]
