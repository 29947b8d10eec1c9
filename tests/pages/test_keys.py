"""Addresses of pages: which requests share one, and which tags name it."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplus.pages.keys import PageAddress, canonical_paths, directories, page_tag, tree_tag

HERE = PageAddress(scheme="https", host="example.com", path="/blog/1/", query="")
OTHERS = {
    "scheme": "http",
    "host": "www.example.com",
    "path": "/blog/2/",
    "query": "page=2",
    "key_prefix": "mobile",
    "layer": "view",
    "method": "HEAD",
    "language": "de",
    "time_zone": "Europe/Berlin",
    "session": "sessionid:x",
    "headers": "x-forwarded-host:evil.test",
}


def test_every_part_of_an_address_is_part_of_the_key():
    assert set(OTHERS) == {field.name for field in fields(PageAddress)}
    keys = {replace(HERE, **{name: value}).key() for name, value in OTHERS.items()}
    assert len(keys | {HERE.key()}) == len(OTHERS) + 1


def test_variants_have_keys_of_their_own():
    variants = [None, ("a",), ("a", None), ("a", ""), (None, "a"), ("", "a"), ("a", "b"), ("ab",), ("a,b",)]
    assert len({HERE.key(variant) for variant in variants}) == len(variants)


def test_a_key_suits_every_store():
    odd = replace(HERE, path="/" + "%C3%A9" * 500, query="q=" + "x" * 5000, time_zone="With Space", key_prefix="a b\n")
    key = odd.key(("a value\x00",))
    assert len(key) < 100
    assert key.isascii()
    assert not any(character.isspace() for character in key)


parts = st.text(st.sampled_from("ab,:-/ 12"), max_size=6)


@given(st.lists(parts, min_size=4, max_size=4), st.lists(parts, min_size=4, max_size=4))
def test_no_two_addresses_are_read_as_one(these, those):
    first, second = (PageAddress(*each[:2], path="/", query=each[2], key_prefix=each[3]) for each in (these, those))
    assert (first.key() == second.key()) == (these == those)


@given(st.lists(parts, min_size=2, max_size=2), st.lists(parts, min_size=2, max_size=2))
def test_a_variant_is_not_read_as_part_of_an_address(these, those):
    address = replace(HERE, language=these[0], time_zone=these[1])
    assert address.key() != replace(HERE, language=None, time_zone=None).key(tuple(those))


class TestTags:
    def test_name_the_path_with_and_without_host_query_and_prefix(self):
        address = replace(HERE, query="page=2", key_prefix="mobile")
        tags = address.tags(depth=3)
        for host, query, key_prefix in product((None, "example.com"), (None, "page=2"), (None, "mobile")):
            assert page_tag("/blog/1/", host, query, key_prefix) in tags

    def test_name_each_directory_above(self):
        tags = PageAddress("http", "h", "/a/b/c/d/e/", "").tags(depth=2)
        assert [tag for tag in tags if tag.startswith("tree: ")] == ["tree: /", "tree: /a/", "tree: /a/b/"]

    def test_are_no_more_than_ten_for_a_plain_page(self):
        assert len(HERE.tags(depth=3)) <= 10

    def test_of_other_places_differ(self):
        def tags(**changes):
            return set(replace(HERE, **changes).tags(depth=0)) - {"tree: /", "tree:example.com /"}

        assert not tags() & tags(path="/blog/2/")
        assert not tags() & tags(path="/blog/1/x/")
        assert page_tag("/blog/1/", "example.com") not in tags(host="www.example.com")
        assert page_tag("/blog/1/", None, "a=1") not in tags(query="a=2")
        assert page_tag("/blog/1/", None, None, "a") not in tags(key_prefix="b")

    @given(*[st.one_of(st.none(), parts)] * 2, parts, *[st.one_of(st.none(), parts)] * 2, parts)
    def test_are_not_read_as_one_another(self, prefix, query, path, prefix2, query2, path2):
        path, path2 = (f"/{each}".replace(" ", "%20").replace("?", "%3F") for each in (path, path2))
        first, second = (path, query, prefix), (path2, query2, prefix2)
        assert (page_tag(path, None, query, prefix) == page_tag(path2, None, query2, prefix2)) == (first == second)

    def test_of_a_page_and_of_a_tree_differ(self):
        assert page_tag("/a/") != tree_tag("/a/")

    def test_a_prefix_that_looks_like_a_host_is_none(self):
        assert page_tag("/p", "3:abc", None, None) != page_tag("/p", None, None, "abc")
        assert page_tag("/p", None, None, "abc /p") != page_tag("/p", "abc", None, None)


@pytest.mark.parametrize(
    ("path", "depth", "expected"),
    [
        ("/", 3, []),
        ("/a", 3, ["/"]),
        ("/a/", 3, ["/"]),
        ("/a/b", 3, ["/", "/a/"]),
        ("/a/b/c/d/e", 3, ["/", "/a/", "/a/b/", "/a/b/c/"]),
        ("/a/b/c", 0, ["/"]),
        ("//a", 3, ["/", "//"]),
    ],
)
def test_directories_above_a_path(path, depth, expected):
    assert list(directories(path, depth)) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/plain/", ("/plain/",)),
        ("/café/", ("/caf%C3%A9/",)),
        ("/a b/", ("/a%20b/",)),
        ("/100%/", ("/100%25/",)),
        ("/it's/", ("/it's/",)),
    ],
)
def test_a_decoded_path_is_escaped_as_a_page_has_it(path, expected):
    assert canonical_paths(path) == expected


def test_an_escaped_path_is_read_both_ways():
    assert set(canonical_paths("/caf%C3%A9/")) == {"/caf%25C3%25A9/", "/caf%C3%A9/"}
