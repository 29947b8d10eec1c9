from __future__ import annotations

import pytest

from cacheplus.http.headers import MAX_SECONDS, Fields, Vary, age_value, delta_seconds, storable


class TestFields:
    def test_names_are_found_in_any_case(self):
        fields = Fields.of([("ETag", '"a"')])
        assert fields.get("etag") == fields.get("ETAG") == '"a"'
        assert "eTag" in fields

    def test_lines_of_one_field_are_joined_in_order(self):
        fields = Fields.of([("Vary", "a"), ("X", "1"), ("vary", "b")])
        assert fields.get("Vary") == "a, b"
        assert fields.get_all("Vary") == ("a", "b")

    def test_absent_is_not_empty(self):
        fields = Fields.of([("Empty", "")])
        assert fields.get("Empty") == ""
        assert fields.get("Absent") is None
        assert fields.get_all("Absent") == ()

    def test_replacing_takes_all_lines_of_the_other(self):
        old = Fields.of([("A", "1"), ("B", "1"), ("a", "2")])
        new = Fields.of([("a", "3"), ("C", "4")])
        assert list(old.replaced_by(new)) == [("B", "1"), ("a", "3"), ("C", "4")]

    def test_equal_fields_are_equal_and_hash_alike(self):
        one, other = Fields.of([("A", "1")]), Fields.of([("A", "1")])
        assert one == other
        assert hash(one) == hash(other)
        assert len(one) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("0", 0, id="zero"),
        pytest.param("003600", 3600, id="leading-zeros"),
        pytest.param("2000000000", 2_000_000_000, id="as-many-digits-as-the-limit"),
        pytest.param("2147483648", MAX_SECONDS, id="rfc9111-1.2.2-limit"),
        pytest.param("2147483649", MAX_SECONDS, id="rfc9111-1.2.2-overflow"),
        pytest.param("9" * 5000, MAX_SECONDS, id="rfc9111-1.2.2-more-digits-than-python-reads"),
        pytest.param("0" * 5000 + "7", 7, id="many-leading-zeros"),
        *(
            pytest.param(text, None, id=repr(text))
            for text in ("", " 1", "-1", "+1", "1.0", "1e3", "x", "٣", "1_0", "²")
        ),
    ],
)
def test_delta_seconds(text, seconds):
    assert delta_seconds(text) == seconds


@pytest.mark.parametrize(
    ("values", "names", "is_any", "broken"),
    [
        pytest.param(["Cookie, Accept-Encoding"], ("accept-encoding", "cookie"), False, False, id="sorted"),
        pytest.param(["a", "B,a"], ("a", "b"), False, False, id="several-lines-each-name-once"),
        pytest.param([], (), False, False, id="absent"),
        pytest.param([" , ,"], (), False, False, id="rfc9110-5.6.1-empty-members"),
        pytest.param(["*"], (), True, False, id="rfc9110-12.5.5-star"),
        pytest.param([" \t* "], (), True, False, id="padded-star-CVE-2026-48587"),
        pytest.param(["Cookie,*"], ("cookie",), True, False, id="star-among-names-CVE-2026-6907"),
        pytest.param(["", "*"], (), True, False, id="star-on-the-second-line"),
        pytest.param(["*, *"], (), True, False, id="two-stars"),
        pytest.param(["Accept Language"], ("accept language",), False, True, id="no-name"),
        pytest.param(["\xa0*"], ("\xa0*",), False, True, id="star-padded-with-what-is-no-blank"),
        pytest.param(["=?utf-8?b?w6k=?="], ("=?utf-8?b?w6k=?=",), False, True, id="mime-encoded"),
    ],
)
def test_vary(values, names, is_any, broken):
    assert Vary.parse(*values) == Vary(names, any=is_any, broken=broken)


def test_response_without_vary_depends_on_nothing():
    vary = Vary()
    assert (vary.names, vary.any, vary.broken) == ((), False, False)


@pytest.mark.parametrize(
    ("lines", "age"),
    [
        pytest.param(["30"], 30, id="rfc9111-5.1"),
        pytest.param(["7200, 0"], 7200, id="rfc9111-5.1-first-member"),
        pytest.param(["0", "7200"], 0, id="rfc9111-5.1-first-line"),
        pytest.param(["99999999999"], MAX_SECONDS, id="rfc9111-1.2.2-overflow"),
        *(pytest.param([text], 0, id=f"rfc9111-5.1-invalid-{text}") for text in ("abc", "-7200", "7200.0", "", ",")),
        pytest.param([], 0, id="absent"),
    ],
)
def test_age_of_a_response(lines, age):
    assert age_value(Fields.of(("Age", line) for line in lines)) == age


def test_fields_of_the_connection_are_not_storable():
    """RFC 9111 §3.1."""
    kept = [("Content-Type", "text/html"), ("C", "3")]
    dropped = [
        ("Connection", "a, B"),
        ("A", "1"),
        ("b", "2"),
        *((name, "x") for name in ("Keep-Alive", "TE", "Transfer-Encoding", "Upgrade", "Trailer", "Proxy-Connection")),
        *((name, "x") for name in ("Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization")),
    ]
    assert list(storable(Fields.of(kept + dropped))) == kept
