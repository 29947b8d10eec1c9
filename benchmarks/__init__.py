"""Measures caches against each other: the same work, interleaved in one run, as ratios."""
