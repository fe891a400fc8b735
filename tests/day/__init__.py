"""A day in the life of a house, and its books: see `python -m tests.day --help`."""
