"""The demonstration site in a real browser."""
