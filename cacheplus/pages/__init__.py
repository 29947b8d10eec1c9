"""Stored pages: what a page is, where it is kept, which tags it carries, and the cache that puts them together."""
