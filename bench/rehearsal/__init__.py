"""Rehearsals of an on-sale: seeded bots against a real installation, and what came of it."""
