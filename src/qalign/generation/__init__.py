"""Answers from a model: one protocol with one method, and what runs it over many problems and goes on where it stopped."""

from __future__ import annotations

from .protocol import BACKENDS, Backend, Completion, DecodingConfig, Request, open_backend
from .run import generate

__all__ = ["BACKENDS", "Backend", "Completion", "DecodingConfig", "Request", "generate", "open_backend"]
