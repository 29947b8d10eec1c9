"""Tracked tables: what was computed from a table expires when that table is written through Django."""
