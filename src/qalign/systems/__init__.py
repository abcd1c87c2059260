"""The systems of the study as plain functions that return stages, and what they are built from."""

from __future__ import annotations

from .scales import SCALES, Scale
from .study import Study
from .table import SYSTEMS, System

__all__ = ["SCALES", "SYSTEMS", "Scale", "Study", "System"]
