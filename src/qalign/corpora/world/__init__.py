"""The embedded world: word problems in many languages that the package makes itself."""

from __future__ import annotations

from .sets import VERSION, rows

__all__ = ["VERSION", "rows"]
