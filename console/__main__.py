"""`python -m console` is `strapontin`, for checkouts that are not installed."""

from console.cli import main

main()
