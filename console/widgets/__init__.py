"""Textual widgets that know no server: values in, messages out."""
