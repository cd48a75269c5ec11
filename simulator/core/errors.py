"""Errors that more than one part of the host raises or handles."""

from __future__ import annotations


class BadInputError(ValueError):
    """Bad input that shows only after work has begun, such as patterns that a memory refuses."""
