"""Searches templates in the watchlist of the active deployment: `templates.v1` to `matches.v1`."""
