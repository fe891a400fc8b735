"""Season files: a programme as an organiser writes it, read, compared, explained and written."""
