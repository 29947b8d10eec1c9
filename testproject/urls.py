from django.conf.urls.i18n import set_language
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.contrib.sitemaps.views import sitemap
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from testproject.blog.sitemaps import SITEMAPS

urlpatterns = [
    path("", include("testproject.blog.urls")),
    path("sitemap.xml", sitemap, {"sitemaps": SITEMAPS}, name="sitemap"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    # The switch stands on every page, and a page with a token is one visitor's own. What it sets needs no protection.
    path("language/", csrf_exempt(set_language), name="set_language"),
    path("admin/", admin.site.urls),
]
