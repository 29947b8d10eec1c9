from __future__ import annotations

import pytest

from cacheplus.http.conditional import (
    conditions,
    confirmed,
    confirms,
    entity_tag,
    has_validator,
    is_not_modified,
    not_modified_fields,
)
from cacheplus.http.dates import format_date
from cacheplus.http.headers import Fields

NOW = 1_795_000_000.0
STORED = NOW - 100


def at(seconds):
    return format_date(NOW + seconds)


def fields(**pairs):
    return Fields.of((name.replace("_", "-"), value) for name, value in pairs.items())


@pytest.mark.parametrize(
    ("request_fields", "page", "expected"),
    [
        pytest.param(fields(), fields(ETag='"a"'), False, id="no-condition"),
        pytest.param(fields(If_None_Match='"a"'), fields(ETag='"a"'), True, id="rfc9110-13.1.2-match"),
        pytest.param(fields(If_None_Match='"b"'), fields(ETag='"a"'), False, id="rfc9110-13.1.2-no-match"),
        pytest.param(fields(If_None_Match='"1", "a" ,"2"'), fields(ETag='"a"'), True, id="rfc9110-13.1.2-list"),
        pytest.param(fields(If_None_Match=',, "a",'), fields(ETag='"a"'), True, id="rfc9110-5.6.1-empty-members"),
        pytest.param(fields(If_None_Match='"x,\\", "a"'), fields(ETag='"x,\\"'), True, id="rfc9110-8.8.3-comma-inside"),
        pytest.param(fields(If_None_Match='W/"a"'), fields(ETag='"a"'), True, id="rfc9110-8.8.3.2-weak-comparison"),
        pytest.param(fields(If_None_Match='"a"'), fields(ETag='W/"a"'), True, id="rfc9110-8.8.3.2-weak-page"),
        pytest.param(fields(If_None_Match='"ü"'), fields(ETag='"ü"'), True, id="rfc9110-8.8.3-obs-text"),
        pytest.param(fields(If_None_Match="*"), fields(), True, id="rfc9110-13.1.2-star"),
        pytest.param(fields(If_None_Match='"a"'), fields(), False, id="page-without-tag"),
        pytest.param(fields(If_None_Match="a"), fields(ETag="a"), False, id="rfc9110-8.8.3-not-quoted"),
        pytest.param(fields(If_None_Match='"a", b'), fields(ETag='"a"'), False, id="list-that-cannot-be-read"),
        pytest.param(fields(If_None_Match='w/"a"'), fields(ETag='"a"'), False, id="rfc9110-8.8.3-lower-case-w"),
        pytest.param(fields(If_None_Match=""), fields(ETag='"a"'), False, id="empty"),
        pytest.param(
            fields(If_None_Match='"a"', If_Modified_Since=at(-99999)),
            fields(ETag='"a"', Last_Modified=at(-5000)),
            True,
            id="rfc9110-13.1.3-tag-before-date-match",
        ),
        pytest.param(
            fields(If_None_Match='"b"', If_Modified_Since=at(0)),
            fields(ETag='"a"', Last_Modified=at(-5000)),
            False,
            id="rfc9110-13.1.3-tag-before-date-no-match",
        ),
        pytest.param(
            fields(If_Modified_Since=at(-5000)), fields(Last_Modified=at(-5000)), True, id="rfc9110-13.1.3-equal"
        ),
        pytest.param(
            fields(If_Modified_Since=at(-4000)), fields(Last_Modified=at(-5000)), True, id="rfc9110-13.1.3-older"
        ),
        pytest.param(
            fields(If_Modified_Since=at(-6000)), fields(Last_Modified=at(-5000)), False, id="rfc9110-13.1.3-newer"
        ),
        pytest.param(fields(If_Modified_Since=at(-50)), fields(Date=at(-70)), True, id="rfc9111-4.3.2-by-date"),
        pytest.param(fields(If_Modified_Since=at(-70)), fields(Date=at(-70)), True, id="rfc9111-4.3.2-at-date"),
        pytest.param(fields(If_Modified_Since=at(-90)), fields(Date=at(-70)), False, id="rfc9111-4.3.2-after-date"),
        pytest.param(fields(If_Modified_Since=at(-50)), fields(), True, id="rfc9111-4.3.2-by-arrival"),
        pytest.param(fields(If_Modified_Since=at(-200)), fields(), False, id="rfc9111-4.3.2-after-arrival"),
        pytest.param(fields(If_Modified_Since="x"), fields(Last_Modified=at(-5000)), False, id="no-date"),
        pytest.param(fields(If_Modified_Since=at(0)), fields(Last_Modified="x"), False, id="page-with-an-invalid-date"),
    ],
)
def test_client_s_condition(request_fields, page, expected):
    assert is_not_modified(request_fields, page, STORED, NOW) is expected


@pytest.mark.parametrize("value", ['"a"' + "," * 100_000 + "x", " ," * 50_000 + "x", '"a",' * 50_000 + "x"])
def test_hostile_condition_costs_no_more_than_its_length(value):
    assert not is_not_modified(fields(If_None_Match=value), fields(ETag='"a"'), STORED, NOW)


def test_304_repeats_what_may_have_changed():
    """RFC 9110 §15.4.5."""
    kept = fields(
        Cache_Control="max-age=1", Content_Location="/x", Date=at(0), ETag='"a"', Expires=at(1), Vary="Cookie"
    )
    page = kept.replaced_by(fields(Content_Type="text/html", Content_Length="7", Content_Encoding="gzip", X_Other="1"))
    assert not_modified_fields(page) == kept


class TestValidators:
    @pytest.mark.parametrize("tag", ['"a"', 'W/"a"', '""', ' "a" '])
    def test_tag(self, tag):
        assert entity_tag(fields(ETag=tag)) == tag.strip()

    @pytest.mark.parametrize("tag", ["", "a", 'w/"a"', 'W\\"a"', '"a', '"a" "b"', '"a\n"', '"€"'])
    def test_no_tag(self, tag):
        assert entity_tag(fields(ETag=tag)) is None
        assert not has_validator(fields(ETag=tag))

    def test_two_tags_are_none(self):
        assert entity_tag(Fields.of([("ETag", '"a"'), ("ETag", '"b"')])) is None

    def test_date_validates(self):
        assert has_validator(fields(Last_Modified=at(-1)))

    def test_view_is_asked_with_both(self):
        """RFC 9111 §4.3.1."""
        page = fields(ETag='W/"a"', Last_Modified=at(-1), Date=at(0))
        assert conditions(page) == fields(If_None_Match='W/"a"', If_Modified_Since=at(-1))
        assert conditions(fields(ETag="broken")) == fields()


class TestNotModifiedByTheView:
    @pytest.mark.parametrize(
        ("answer", "page", "expected"),
        [
            pytest.param(fields(ETag='"a"'), fields(ETag='"a"'), True, id="rfc9111-4.3.4-same-tag"),
            pytest.param(fields(ETag='W/"a"'), fields(ETag='"a"'), True, id="rfc9111-4.3.4-weak"),
            pytest.param(fields(ETag='"b"'), fields(ETag='"a"'), False, id="rfc9111-4.3.4-other-tag"),
            pytest.param(
                fields(ETag='"b"'), fields(Last_Modified=at(-9)), False, id="rfc9111-4.3.4-tag-out-of-nowhere"
            ),
            pytest.param(fields(ETag="x"), fields(ETag="x"), False, id="tag-that-is-none"),
            pytest.param(fields(Last_Modified=at(-9)), fields(Last_Modified=at(-9)), True, id="rfc9111-4.3.4-date"),
            pytest.param(
                fields(Last_Modified=at(-8)), fields(Last_Modified=at(-9)), False, id="rfc9111-4.3.4-other-date"
            ),
            pytest.param(fields(Last_Modified=at(-8)), fields(ETag='"a"'), False, id="date-out-of-nowhere"),
            pytest.param(fields(), fields(ETag='"a"'), True, id="rfc9111-4.3.4-no-validator"),
        ],
    )
    def test_speaks_of_the_page(self, answer, page, expected):
        assert confirms(answer, page) is expected

    def test_page_is_updated(self):
        """RFC 9111 §3.2."""
        page = fields(Date=at(-60), Age="5", Cache_Control="max-age=1", ETag='"a"', X_Kept="1", Content_Length="36")
        answer = fields(Date=at(0), Cache_Control="max-age=60", ETag='"a"', X_New="2", Content_Length="0")
        expected = {"Date": at(0), "Cache-Control": "max-age=60", "ETag": '"a"', "X-Kept": "1", "X-New": "2"}
        assert dict(confirmed(page, answer)) == expected | {"Content-Length": "36"}

    @pytest.mark.parametrize("name", ["Content-Encoding", "Content-Type", "Content-Range", "content-length"])
    def test_fields_of_the_stored_body_stay(self, name):
        """RFC 9111 §3.2."""
        assert confirmed(Fields.of([(name, "old")]), Fields.of([(name, "new")])).get(name) == "old"

    def test_old_age_and_date_are_gone(self):
        assert confirmed(fields(Age="5", Date=at(-60)), fields()) == fields()
