"""Errors of rendering."""


class EdgeError(Exception):
    """The edge cannot be rendered; the message says why in one sentence."""
