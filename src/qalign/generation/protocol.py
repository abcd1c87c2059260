"""What a generation backend is: something with a method that answers requests.

To add one: a file with a class that has `chunk` and `generate`, and a line in `BACKENDS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from ..errors import SettingError, nearest
from ..placement import Placement
from ..records import Finish, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingConfig:
    """What decides an answer besides model and prompt; part of the fingerprint."""

    max_new_tokens: int
    """The most tokens of an answer. Longer answers are truncated, and counted."""
    temperature: float = 0.0
    """0 is greedy decoding. Above 0 tokens are sampled."""
    top_p: float = 1.0
    """Tokens are sampled from the smallest set with this probability."""
    samples: int = 1
    """Answers to each question, each under its own seed."""
    seed: int = 1234
    """The seed of sampling. A sample depends on it and on the problem, not on the batch."""
    precision: str = "float32"
    """The precision of the model: `float32` or `bfloat16`."""
    backend: str = "transformers"
    """What answers: `transformers`, `vllm`, `endpoint` (a server) or `scripted` (for tests)."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise SettingError(f"max_new_tokens is {self.max_new_tokens}; it must be at least 1")
        if self.samples < 1 or (self.samples > 1 and self.temperature == 0):
            raise SettingError(
                f"samples {self.samples} at temperature {self.temperature:g}: give 1 or more, several only above temperature 0"
            )
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise SettingError(
                f"temperature {self.temperature} and top_p {self.top_p}: give 0 or more, and above 0 up to 1"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise SettingError(
                f"unknown precision '{self.precision}': {nearest(self.precision, ('float32', 'bfloat16'))}"
            )
        if self.backend not in BACKENDS:
            raise SettingError(f"unknown generation backend '{self.backend}': {nearest(self.backend, BACKENDS)}")


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model. `key` names it within the run; `instruction` is the question before it is rendered."""

    key: str
    instruction: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a record: an instruction, and which of several answers to it is wanted."""

    id: str
    language: str
    instruction: str
    sample: int = 0

    @property
    def key(self) -> str:
        """Names the question within the run."""
        return f"{self.language}/{self.id}" + (f"#{self.sample}" if self.sample else "")


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer: `text` without special tokens, the hash of the rendered prompt, generated tokens (as a server counts them,
    the end of the sequence mostly among them), why it ended."""

    key: str
    text: str
    prompt_sha256: str
    tokens: int
    finish: Finish


def questions_of(problems: Iterable[Problem]) -> list[Question]:
    """One question to each problem: the problem's own, as it stands."""
    return [Question(problem.id, problem.language, problem.question) for problem in problems]


def seed_of(seed: int, key: str) -> int:
    """The seed of one request, 31 bits: the same whatever else is asked beside it."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:4], "big") >> 1


REQUESTS_PER_CHUNK = 512
"""Where nothing speaks for more."""


class Backend(Protocol):
    """A model that answers. `chunk`: so many requests are answered together and kept once all of them are, because an answer
    may depend on its company; None where it does not, and each answer is kept as it comes."""

    @property
    def chunk(self) -> int | None: ...

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers each request once, in any order."""
        ...


BACKENDS: Mapping[str, str] = {
    "transformers": "qalign.generation.local:open_local",
    "endpoint": "qalign.generation.endpoint:open_endpoint",
    "vllm": "qalign.generation.vllm_engine:open_vllm",
    "scripted": "qalign.generation.scripted:open_scripted",
}
"""The kinds of backend, each by the function that opens one from a model folder: (folder, decoding, placement)."""


def open_backend(folder: Path, decoding: DecodingConfig, placement: Placement) -> Backend:
    """The backend that a decoding config asks for, with the model of a folder."""
    module, name = BACKENDS[decoding.backend].split(":")
    opener: Callable[[Path, DecodingConfig, Placement], Backend] = getattr(import_module(module), name)
    return opener(folder, decoding, placement)
