import pytest

from cacheplus.codecs.signing import DIGEST_SIZE, Signer


class TestSigner:
    def test_accepts_its_own_digest(self):
        signer = Signer(["key"], "salt")
        digest = signer.sign(b"scope", b"body")
        assert len(digest) == DIGEST_SIZE
        assert signer.verify(digest, b"scope", b"body")

    @pytest.mark.parametrize(
        ("digest", "scope", "body"),
        [
            (None, b"scope", b"bodz"),
            (None, b"scopf", b"body"),
            (b"", b"scope", b"body"),
            (bytes(16), b"scope", b"body"),
        ],
    )
    def test_refuses_everything_else(self, digest, scope, body):
        signer = Signer(["key"], "salt")
        good = signer.sign(b"scope", b"body")
        assert not signer.verify(good if digest is None else digest, scope, body)
        assert not signer.verify(good[:-1], b"scope", b"body")

    def test_a_fallback_key_still_verifies_but_no_longer_signs(self):
        old, rotated, new = Signer(["old"], "s"), Signer(["new", "old"], "s"), Signer(["new"], "s")
        assert rotated.verify(old.sign(b"a", b"b"), b"a", b"b")
        assert new.verify(rotated.sign(b"a", b"b"), b"a", b"b")
        assert not new.verify(old.sign(b"a", b"b"), b"a", b"b")
        assert not old.verify(rotated.sign(b"a", b"b"), b"a", b"b")

    def test_the_salt_separates_uses_of_one_key(self):
        assert not Signer(["key"], "a").verify(Signer(["key"], "b").sign(b"", b""), b"", b"")
        assert Signer(["bc"], "a").sign(b"", b"") != Signer(["c"], "ab").sign(b"", b"")

    def test_text_and_bytes_are_the_same_key(self):
        assert Signer(["kéy"], "salt").sign(b"", b"") == Signer(["kéy".encode()], b"salt").sign(b"", b"")

    def test_any_length_of_key_counts_in_full(self):
        assert Signer(["k" * 200], "s").sign(b"", b"") != Signer(["k" * 199], "s").sign(b"", b"")

    @pytest.mark.parametrize("keys", [[], [""], ["key", b""]])
    def test_refuses_to_work_without_a_key(self, keys):
        with pytest.raises(ValueError, match="needs at least one key"):
            Signer(keys, "salt")
