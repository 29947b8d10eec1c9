"""Faults, injected into real stores: what of the promise of docs/explanation/reliability.md is measured here.

Each behaviour is one function that returns figures, with the bar of each. The tests run it small and give its times the
room that a busy machine needs; `make soak` runs it large, holds it to the bars, and prints the table.
"""
