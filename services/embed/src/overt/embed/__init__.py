"""Turns aligned crops into templates: `faces.v1` to `templates.v1`."""
