"""Question alignment for multilingual reasoning (QAlign, arXiv 2401.07817)."""

__version__ = "0.1.0"
