"""The request that is being answered here, if there is one: what is to be done once its response was sent.

Django tells when a request begins and ends. In between its state is found by the context of its thread or, under ASGI,
by the context that asgiref gives each request.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.core.signals import request_finished, request_started
from django.db import connections

Job = Callable[[], object]


class Request:
    """One request; `jobs` wait for its response to be sent."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []


_here: ContextVar[Request | None] = ContextVar("cacheplus_request", default=None)
_by_context: weakref.WeakKeyDictionary[ThreadSensitiveContext, Request] = weakref.WeakKeyDictionary()


def follow_requests() -> None:
    """Listen to Django; called once, when the app is ready."""
    request_started.connect(_begin, dispatch_uid="cacheplus.request")
    request_finished.connect(_end, dispatch_uid="cacheplus.request")


def current_request() -> Request | None:
    """The request that is answered here."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    return _by_context.get(context) if context is not None else _here.get()


def _remember(request: Request | None) -> None:
    # Of what a receiver sets in its own context, an ASGI handler sees nothing in some versions of Django.
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None:
        _here.set(request)
    elif request is None:
        _by_context.pop(context, None)
    else:
        _by_context[context] = request


def _begin(**_: Any) -> None:
    _remember(Request())


def _end(**_: Any) -> None:
    request = current_request()
    _remember(None)
    if request is None or not request.jobs:
        return
    for job in request.jobs:
        job()


def after_response(job: Job) -> None:
    """Do `job` when the response was sent; in a thread at once where no request is being answered."""
    request = current_request()
    if request is None:
        in_thread(job)
    else:
        request.jobs.append(job)


def in_thread(job: Job) -> None:
    """Do `job` in a thread of its own, which ends with the process."""

    def work() -> None:
        try:
            job()
        finally:
            connections.close_all()

    threading.Thread(target=work, name="cacheplus-refresh", daemon=True).start()
