"""Ways to call a cache: through its a-twins, and from several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from asgiref.sync import async_to_sync
from django.db import connections

T = TypeVar("T")


class Twins:
    """A cache each of whose calls is answered by its a-twin, in an event loop of its own."""

    def __init__(self, cache: Any) -> None:
        self.cache = cache

    def __getattr__(self, call: str) -> Callable[..., Any]:
        twin: Callable[..., Any] = async_to_sync(getattr(self.cache, f"a{call}"))
        return twin

    @contextmanager
    def lock(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        """`alock`, for `with`."""
        lock = self.cache.alock(*args, **kwargs)
        token = async_to_sync(lock.__aenter__)()
        try:
            yield token
        finally:
            async_to_sync(lock.__aexit__)(None, None, None)


def at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Start `jobs` at the same moment, each in a thread; their results in order. Raises the first error of any."""
    start = threading.Barrier(len(jobs))
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def work(number: int, job: Callable[[], T]) -> None:
        try:
            start.wait(30)
            results[number] = job()
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that asked
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(jobs))]
