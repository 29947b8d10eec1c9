"""`manage.py demo`: the blog, filled, toured, and served."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from testproject.blog.factories import fill
from testproject.blog.tour import Tour

_ADDRESS = "127.0.0.1"


class Command(BaseCommand):
    help = "Fill the blog anew, show what the cache does with it, and serve it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="Serve on this port. Default: 8000, or a free one.")
        parser.add_argument("--no-serve", action="store_false", dest="serve", help="Stop after the tour.")

    def handle(self, *, port: int | None, serve: bool, **_: Any) -> None:
        port = port or free_port_or(8000)
        self._fill()
        for number, (heading, lines) in enumerate(Tour(f"{_ADDRESS}:{port}").stops(), 1):
            self.stdout.write(self.style.MIGRATE_HEADING(f"\n{number}. {heading}\n"))
            self.stdout.writelines(f"  {line}".rstrip() + "\n" for line in lines)
        if serve:
            self._serve(port)

    def _fill(self) -> None:
        """A new blog each time, so that each run shows the same."""
        Path(settings.VAR).mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0)
        call_command("flush", interactive=False, verbosity=0)
        for cache in caches.all():
            cache.clear()
        fill()
        backend = settings.CACHES["default"]["BACKEND"].rpartition(".")[2]
        self.stdout.write(f"A blog in {settings.VAR}, its pages in {backend}.")

    def _serve(self, port: int) -> None:
        site = f"http://{_ADDRESS}:{port}/"
        self.stdout.write(self.style.SUCCESS(f"\nThe blog is at {site} with its first pages cached already."))
        self.stdout.write(f"  edit it           {site}admin/, as admin with the password admin")
        self.stdout.write(f"  log in as reader  {site}login/, with the password reader")
        self.stdout.write(f"  ask the cache     curl -sD- -o /dev/null {site}")
        self.stdout.write("Ctrl-C ends it.\n")
        self.stdout.flush()
        # Style sheets, too, though DEBUG is off.
        call_command("runserver", f"{_ADDRESS}:{port}", use_reloader=False, insecure_serving=True)


def free_port_or(wanted: int) -> int:
    """`wanted`, or another where somebody listens there already."""
    for port in (wanted, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((_ADDRESS, port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise CommandError(f"No port is free on {_ADDRESS}.")
