"""Answers from a model: the backend protocol, and a run that resumes."""

from __future__ import annotations

from .protocol import Backend, Completion, DecodingConfig, Question, Request, open_backend, questions_of
from .run import generate

__all__ = ["Backend", "Completion", "DecodingConfig", "Question", "Request", "generate", "open_backend", "questions_of"]
