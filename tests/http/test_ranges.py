from __future__ import annotations

import pytest

from cacheplus.http.dates import format_date
from cacheplus.http.headers import Fields
from cacheplus.http.ranges import Part, part_fields, requested_part

NOW = 1_795_000_000.0
SIZE = 10


def at(seconds):
    return format_date(NOW + seconds)


def fields(**pairs):
    return Fields.of((name.replace("_", "-"), value) for name, value in pairs.items())


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        pytest.param("bytes=0-1", 0, 2, id="rfc9110-14.1.2-first-and-last"),
        pytest.param("bytes=1-", 1, 10, id="rfc9110-14.1.2-open"),
        pytest.param("bytes=-1", 9, 10, id="rfc9110-14.1.2-suffix"),
        pytest.param("bytes=-99", 0, 10, id="rfc9110-14.1.2-suffix-longer-than-the-body"),
        pytest.param("bytes=5-99", 5, 10, id="rfc9110-14.1.2-last-beyond-the-end"),
        pytest.param("BYTES=0-0", 0, 1, id="rfc9110-14.1-units-in-any-case"),
        pytest.param("bytes= 0-0 ", 0, 1, id="blanks"),
    ],
)
def test_part(wanted, start, stop):
    part = requested_part(fields(Range=wanted), fields(), SIZE, NOW)
    assert part == Part(start, stop, SIZE)
    assert part.status == 206
    assert part.content_range == f"bytes {start}-{stop - 1}/10"


@pytest.mark.parametrize(
    ("wanted", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=-0", 10), ("bytes=-5", 0)]
)
def test_range_outside_the_body(wanted, size):
    """RFC 9110 §15.5.17."""
    part = requested_part(fields(Range=wanted), fields(), size, NOW)
    assert part.status == 416
    assert part.content_range == f"bytes */{size}"
    assert part_fields(fields(), part).get("Content-Length") == "0"


@pytest.mark.parametrize(
    "wanted",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=2-1", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1", "bytes=-1-2"),
        *("bytes=٣-", f"bytes={'9' * 5000}-", "bytes=0-1\n", "bytes=" + " " * 50_000 + "x"),
    ],
)
def test_whole_page_where_the_range_is_not_one_of_bytes(wanted):
    """RFC 9110 §14.2: a range that is not understood is ignored."""
    assert requested_part(fields(Range=wanted), fields(), SIZE, NOW) is None


def test_whole_page_without_range():
    assert requested_part(fields(If_Range='"a"'), fields(ETag='"a"'), SIZE, NOW) is None


@pytest.mark.parametrize(
    ("condition", "page", "holds"),
    [
        pytest.param('"a"', fields(ETag='"a"'), True, id="rfc9110-13.1.5-tag"),
        pytest.param('"b"', fields(ETag='"a"'), False, id="rfc9110-13.1.5-other-tag"),
        pytest.param('W/"a"', fields(ETag='W/"a"'), False, id="rfc9110-13.1.5-weak-tags-never-match"),
        pytest.param('"a"', fields(), False, id="page-without-tag"),
        pytest.param(at(-60), fields(Last_Modified=at(-60), Date=at(0)), True, id="rfc9110-13.1.5-date"),
        pytest.param(at(-59), fields(Last_Modified=at(-60), Date=at(0)), False, id="rfc9110-13.1.5-later-date"),
        pytest.param(at(-60), fields(Last_Modified=at(-60), Date=at(-60)), False, id="rfc9110-8.8.2.2-weak-date"),
        pytest.param(at(-60), fields(Last_Modified=at(-60)), False, id="rfc9110-8.8.2.2-page-without-date"),
        pytest.param("x", fields(Last_Modified=at(-60), Date=at(0)), False, id="neither-tag-nor-date"),
    ],
)
def test_if_range(condition, page, holds):
    part = requested_part(fields(Range="bytes=0-1", If_Range=condition), page, SIZE, NOW)
    assert (part is not None) is holds


def test_fields_of_a_part():
    page = fields(Content_Type="text/html", Content_Length="10", ETag='"a"')
    expected = {"Content-Type": "text/html", "ETag": '"a"', "Content-Range": "bytes 2-4/10", "Content-Length": "3"}
    assert dict(part_fields(page, Part(2, 5, SIZE))) == expected
