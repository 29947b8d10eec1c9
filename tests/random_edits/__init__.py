"""Random edits of the demonstration blog under TRACK_TABLES, in search of a page that is too old."""
