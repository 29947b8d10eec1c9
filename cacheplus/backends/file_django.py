"""What Django's own file backend wrote: one file for each key, straight in the directory."""

from __future__ import annotations

import pickle
from hashlib import md5
from io import BytesIO
from math import inf
from pathlib import Path

from cacheplus.backends.directories import check_private
from cacheplus.backends.file_directory import SUFFIX, Directory
from cacheplus.backends.file_entry import Entry
from cacheplus.backends.moment import Moment


def django_path(root: Path, name: str) -> Path:
    """The file that Django keeps `name` in."""
    digest = md5(name.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
    return root / f"{digest}{SUFFIX}"


def django_entry(directory: Directory, name: str, now: Moment) -> Entry | None:
    """The entry of Django's under `name`: stored is its compressed pickle. None where there is none, or it is damaged.

    Raises UnsafeLocation where others could have put it there: its end is a pickle, and its name is not in it.
    """
    content = directory.read(django_path(directory.root, name))
    if not content:
        return None
    check_private(directory.root)
    file = BytesIO(content)
    try:
        ends_at = pickle.load(file)
        lifetime = inf if ends_at is None else float(ends_at) - now.wall
    except Exception:  # noqa: BLE001 - a damaged pickle may raise anything
        return None
    return Entry(name, now, lifetime, file.read())
