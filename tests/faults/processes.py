"""Forks, interrupts, cancelled tasks, and coroutines that wait beside each other."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

from asgiref.sync import async_to_sync

from tests.faults.behaviour import Measured, behaviour, unexpected
from tests.faults.stores import ALL, SERVERS, build, opened, served
from tests.interrupts import Interrupt, interrupted
from tests.processes import ROOT

_MISS = {"ON_FAULT": "miss"}

_FORKS = """
import json, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
os.environ["DJANGO_SETTINGS_MODULE"] = "testproject.settings"
import django
from django.conf import settings
params, databases, routers, children, rounds = json.loads(sys.argv[1])
settings.DATABASES = {**settings.DATABASES, **databases}
settings.DATABASE_ROUTERS = routers
django.setup()
from django.utils.module_loading import import_string
cache = import_string(params.pop("BACKEND"))(params.pop("LOCATION"), params)
cache.set("shared", "from the parent", 300)
cache.set("count", 0, 300)

def work(child):
    right = 0
    for number in range(rounds):
        key = f"child{child}-{number}"
        cache.set(key, key, 300)
        right += cache.get(key) == key and cache.get("shared") == "from the parent" and cache.incr("count") > 0
    return right

pipes = []
for child in range(children):
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writer, str(work(child)).encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    pipes.append(reader)
print(json.dumps([os.read(reader, 1000).decode() for reader in pipes]))
print(cache.get("count"))
"""


@behaviour(
    "forks after the cache was used",
    *ALL,
    bars={"wrong or raised": 0, "counts lost": 0},
    small={"children": 4, "rounds": 25},
    large={"children": 4, "rounds": 300},
)
def forks(store: str, *, children: int, rounds: int) -> Measured:
    """As gunicorn --preload does: every child uses what the parent opened."""
    # How long one waits for the writes of others is no part of it.
    options: dict[str, Any] = {"LOCK_TIMEOUT": 20} if store in ("db", "lmdb") else {}
    if store not in SERVERS:
        options["MAX_ENTRIES"] = 10_000
    with opened(store, **options) as params:
        given = json.dumps([params, *_databases(params), children, rounds], default=str)
        command = [sys.executable, "-c", _FORKS, given]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told, counted = done.stdout.splitlines()
    right = sum(int(each) if each.isdigit() else 0 for each in json.loads(told))
    total = children * rounds
    # Each process has a memory of its own.
    lost = 0 if store == "locmem" else total - int(counted)
    return {"right": right, "wrong or raised": total - right, "counts lost": lost}


def _databases(params: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What another process needs to know to find the table: DATABASES and DATABASE_ROUTERS."""
    if not params["BACKEND"].endswith("DatabaseCache"):
        return {}, []
    from django.db import connections, router  # noqa: PLC0415 - the settings have to be there first

    alias = router.routers[0].leader  # type: ignore[attr-defined]
    dsn = connections.settings[alias]
    return {"cachetable": {"ENGINE": dsn["ENGINE"], "NAME": str(dsn["NAME"])}}, ["tests.faults.processes.ToCacheTable"]


class ToCacheTable:
    """The router of the forked processes."""

    def db_for_read(self, model: Any, **_: Any) -> str | None:
        return "cachetable" if model._meta.app_label == "django_cache" else None

    db_for_write = db_for_read


@behaviour(
    "a signal raises between request and reply",
    *SERVERS,
    bars={"wrong values": 0, "raised": 0},
    small={"count": 8},
    large={"count": 60},
)
def interrupts(store: str, *, count: int) -> Measured:
    """The reply that nobody waited for must not answer the next call."""
    wrong = raised = caught = 0
    values = {f"key{number}": f"value {number}" for number in range(count + 1)}
    with served(store) as way:
        # libmemcached does not let go of a call before its timeout.
        cache = build(way.beside(SOCKET_TIMEOUT=0.1 if store == "pylibmc" else 5))
        cache.set_many(values, 300)
        for number in range(count):
            way.server.pause()
            try:
                with interrupted(after=0.02):
                    cache.get(f"key{number}")
            except Interrupt:
                caught += 1
            way.server.resume()
            key = f"key{number + 1}"
            try:
                wrong += cache.get(key) != values[key]
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised += unexpected(error)
    return {"interrupts": caught, "wrong values": wrong, "raised": raised}


@behaviour(
    "a task is cancelled while it waits for a reply",
    *SERVERS,
    bars={"wrong values": 0, "raised": 0},
    small={"count": 30},
    large={"count": 300},
)
def cancelled(store: str, *, count: int) -> Measured:
    values = {f"key{number}": f"value {number}" for number in range(count + 1)}
    wrong = raised = stopped = 0

    async def work(cache: Any) -> None:
        nonlocal wrong, raised, stopped
        await cache.aset_many(values, 300)
        for number in range(count):
            task = asyncio.create_task(cache.aget(f"key{number}"))
            await asyncio.sleep(0.0002 * (number % 4))
            task.cancel()
            key = f"key{number + 1}"
            try:
                wrong += await cache.aget(key) != values[key]
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised += unexpected(error)
            try:
                await task
            except asyncio.CancelledError:
                stopped += 1

    with opened(store) as params:
        asyncio.run(work(build(params)))
    return {"tasks": count, "cancelled": stopped, "wrong values": wrong, "raised": raised}


@behaviour(
    "four coroutines ask a server that hangs",
    *SERVERS,
    bars={"all answered after s": 1.0, "raised": 0},
    small={"count": 4},
    large={"count": 4},
)
def hanging_coroutines(store: str, *, count: int) -> Measured:
    with served(store) as way:
        cache = build(way.beside(**_MISS))
        cache.set("key", "value", 300)
        way.server.pause()

        async def ask() -> tuple[float, list[Any]]:
            since = time.monotonic()
            found = await asyncio.gather(*(cache.aget("key") for _ in range(count)), return_exceptions=True)
            return time.monotonic() - since, found

        seconds, found = async_to_sync(ask)()
        way.server.resume()
    return {"all answered after s": seconds, "raised": sum(isinstance(each, BaseException) for each in found)}
