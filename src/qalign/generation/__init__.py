"""Answers from a model: one protocol with one method, and what runs it over many problems and goes on where it stopped."""

from __future__ import annotations

from .protocol import BACKENDS, Backend, Completion, DecodingConfig, Question, Request, open_backend, questions_of
from .run import generate

__all__ = [
    "BACKENDS",
    "Backend",
    "Completion",
    "DecodingConfig",
    "Question",
    "Request",
    "generate",
    "open_backend",
    "questions_of",
]
