"""Keyed digests: proof that a record was written by somebody who knows the site's secret."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from hmac import compare_digest

DIGEST_SIZE = 16


class Signer:
    """Signs with the first of `keys` and accepts a digest made with any of them, so that keys can be rotated.

    `salt` separates uses of one secret. Keyed BLAKE2b rather than HMAC-SHA256: under 5 kB, where most values are, it
    takes a half to a third of the time. Raises `ValueError` without keys, or with an empty one.
    """

    def __init__(self, keys: Sequence[bytes | str], salt: bytes | str) -> None:
        secrets = [_to_bytes(key) for key in keys]
        if not secrets or not all(secrets):
            raise ValueError("Signing cached values needs at least one key, and no empty one: set SECRET_KEY.")
        self._states = [blake2b(key=_derive(secret, _to_bytes(salt)), digest_size=DIGEST_SIZE) for secret in secrets]

    def sign(self, scope: bytes, body: bytes) -> bytes:
        """The digest of `scope` and `body`; `scope` has to say where it ends."""
        return self._digest(0, scope, body)

    def verify(self, digest: bytes, scope: bytes, body: bytes) -> bool:
        """Whether one of the keys made `digest`, compared in constant time."""
        return any(compare_digest(digest, self._digest(index, scope, body)) for index in range(len(self._states)))

    def _digest(self, index: int, scope: bytes, body: bytes) -> bytes:
        # A copy of the keyed state skips the block that the key fills; hash objects are not shared between threads.
        state = self._states[index].copy()
        state.update(scope)
        state.update(body)
        return state.digest()


def _derive(secret: bytes, salt: bytes) -> bytes:
    """A key of full length for one use of `secret`."""
    return blake2b(len(salt).to_bytes(4, "big") + salt + secret, digest_size=blake2b.MAX_KEY_SIZE).digest()


def _to_bytes(text: bytes | str) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
