from django.apps import AppConfig


class BlogConfig(AppConfig):
    name = "testproject.blog"

    def ready(self) -> None:
        from testproject.blog.expiry import watch  # noqa: PLC0415 - the models are not there any earlier

        watch()
