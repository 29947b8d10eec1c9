"""Directories that hold a cache: whoever can write there decides what the site reads, so nobody else may."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_WAY_OUT = "Set LOCATION to a directory that only the user who runs the site can write to (mode 0700)."


class UnsafeLocation(ImproperlyConfigured, PermissionError):  # noqa: N818 - named for what is the matter
    """A LOCATION that a cache must not use. An OSError too: a page that meets it does without its cache."""

    def __init__(self, directory: Path, flaw: str) -> None:
        super().__init__(f"The cache directory {str(directory)!r} {flaw}. {_WAY_OUT}")


def make_private(directory: Path) -> None:
    """Make `directory`, and the parents that are missing, for this user alone, whatever the umask.

    Raises UnsafeLocation for one that others could change, OSError where it cannot be made.
    """
    for missing in reversed([path for path in (directory, *directory.parents) if not os.path.lexists(path)]):
        try:
            missing.mkdir(mode=0o700)
        except FileExistsError:
            continue  # by another process, at the same moment
        missing.chmod(0o700)
    check_private(directory)


def check_private(directory: Path) -> None:
    """Raise UnsafeLocation for a directory that others could change, OSError where there is none."""
    for flaw in flaws(directory):
        raise UnsafeLocation(directory, flaw)


def flaws(directory: Path) -> Iterator[str]:
    """Why `directory` must not hold a cache, in words that follow its name. Raises OSError if it is not there."""
    found = directory.lstat()
    if stat.S_ISLNK(found.st_mode):
        yield "is a symbolic link, which may be changed to lead elsewhere"
    elif not stat.S_ISDIR(found.st_mode):
        yield "is no directory"
    if os.name == "posix" and found.st_uid != os.geteuid():
        yield f"belongs to user {found.st_uid}, and this process runs as user {os.geteuid()}"
    if os.name == "posix" and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(found.st_mode):
        yield f"can be written to by other users (mode {stat.S_IMODE(found.st_mode):04o})"


def is_ours(file: Path) -> bool:
    """Whether `file` is a regular file of this user, and no link."""
    try:
        found = file.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and (os.name != "posix" or found.st_uid == os.geteuid())
