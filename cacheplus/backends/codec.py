"""The record codec of an alias, from its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.module_loading import import_string

from cacheplus import conf
from cacheplus.backends.options import Options
from cacheplus.codecs.record import RecordCodec
from cacheplus.codecs.signing import Signer


def build_codec(options: Options, *, signed: bool, foreign: Callable[[bytes], Any]) -> RecordCodec:
    """The codec that `options` ask for. `signed` is the store's default; `foreign` reads what Django wrote.

    Raises MissingExtra where a library is not installed, ImportError for a dotted path that leads nowhere.
    """
    name = options.serializer
    is_signed = signed if options.signed is None else options.signed
    return RecordCodec(
        import_string(name) if isinstance(name, str) and "." in name else name,
        compressor=options.compressor,
        compress_min_bytes=options.compress_min_bytes,
        signer=Signer(conf.secret_keys(), salt="cacheplus.record") if is_signed else None,
        max_bytes_decoded=options.max_bytes_decoded,
        foreign=foreign if options.accept_django else None,
    )
