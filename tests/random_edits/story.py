"""The story: edit, read, edit, read; in and out of transactions, with others who read and log in meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

from django.db import connections, transaction
from django.test import Client

from testproject.blog.models import Post
from tests.random_edits.edits import Editor
from tests.random_edits.readers import Reader


class Story:
    """A run with one seed. The bystander has a thread, and so a connection, of its own."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.reader = Reader()
        self.told: Counter[str] = Counter()
        self._editor = Editor()
        self._edits = self._editor.edits()
        self._bystander = ThreadPoolExecutor(1)
        self._other = Reader()

    def tell(self, edits: int) -> None:
        """Make so many edits; raise StalePageError if a page ever is too old."""
        ways = [self._plainly, self._in_a_transaction, self._in_vain, self._partly_in_vain, self._beside_a_snapshot]
        try:
            for number in range(edits):
                way = self.chance.choice(ways)
                self.told[way.__name__.strip("_")] += 1
                way()
                self.reader.read_and_compare(f"after edit {number}, {way.__name__}")
                self._maybe_log_in()
        finally:
            self._aside(connections.close_all)
            self._bystander.shutdown()

    def _edit(self) -> None:
        edit = self.chance.choice(self._edits)
        self.told[edit.__name__] += 1
        edit(self.chance)

    def _plainly(self) -> None:
        self._edit()

    def _in_a_transaction(self) -> None:
        """Somebody else fills the cache with what is not committed yet for him."""
        with transaction.atomic():
            self._edit()
            self._aside(self._other.read)
            self.reader.read_and_compare("within the transaction")
            self._edit()
            self._aside(self._other.read)

    def _in_vain(self) -> None:
        """What is seen before the rollback is not seen after it."""
        with transaction.atomic():
            self._edit()
            self.reader.read_and_compare("before the rollback")
            self._aside(self._other.read)
            transaction.set_rollback(True)

    def _partly_in_vain(self) -> None:
        with transaction.atomic():
            self._edit()
            with transaction.atomic():
                self._edit()
                self.reader.read()
                transaction.set_rollback(True)
            self.reader.read_and_compare("after a savepoint")
            self._edit()

    def _beside_a_snapshot(self) -> None:
        """Somebody whose transaction is older than the commit reads after it."""
        begun = transaction.atomic()
        self._aside(begun.__enter__)
        try:
            self._aside(Post.objects.first)
            self._edit()
            self._aside(self._other.read)
        finally:
            self._aside(lambda: begun.__exit__(None, None, None))

    def _maybe_log_in(self) -> None:
        """Which changes nothing that is shown."""
        if self.chance.random() < 0.3:
            self.told["logins"] += 1
            client = Client()
            assert client.login(username="reader", password="reader")
            client.get("/")
            self.reader.read_and_compare("after a login")

    def _aside(self, act: Callable[[], object]) -> None:
        self._bystander.submit(act).result()
