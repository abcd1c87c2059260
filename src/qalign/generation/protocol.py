"""The protocol of a generation backend: a class whose method answers requests.

To add one, write a file with a class that has `chunk` and `generate`, and add a line to `BACKENDS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol

from ..alignment import prompts
from ..alignment.templates import TemplateName, check_template
from ..errors import SettingError, nearest
from ..placement import Placement
from ..records import Finish, Problem, added, sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingConfig:
    """The settings of generation. They are part of the fingerprint."""

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
    """What answers: `transformers`, `vllm`, `endpoint` (a server, by chat), `completions` (a server, by token ids) or `scripted`
    (for tests). At scale paper `vllm` is the default on CUDA where it is installed."""
    stop: tuple[str, ...] | None = added(None)
    """An answer ends before the first of these texts."""
    template: TemplateName | None = added(None)
    """The prompt around a question. `none` is that of the model's training."""
    question: Literal["own", "english"] = added("own")
    """`own` asks each problem in its language. `english` asks the English question with the same id, in a template that names the
    language of the answer."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise SettingError(f"max_new_tokens is {self.max_new_tokens}; it must be at least 1")
        if "" in (self.stop or ()):
            raise SettingError("stop holds an empty text, before which every answer ends; leave it out")
        given = f"samples {self.samples} at temperature {self.temperature:g}"
        if self.samples < 1 or (self.samples > 1 and self.temperature == 0):
            raise SettingError(f"{given}: give 1 or more, several only above temperature 0")
        given = f"temperature {self.temperature} and top_p {self.top_p}"
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise SettingError(f"{given}: give 0 or more, and above 0 up to 1")
        for what, value, known in (
            ("precision", self.precision, ("float32", "bfloat16")),
            ("generation backend", self.backend, BACKENDS),
        ):
            if value not in known:
                raise SettingError(f"unknown {what} '{value}': {nearest(value, known)}")
        if self.template is not None:
            check_template(self.template)

    def ended(self, text: str, finish: Finish) -> tuple[str, Finish]:
        """An answer without its first stop text and what follows, and why it ended."""
        places = [place for stop in self.stop or () if (place := text.find(stop)) >= 0]
        return (text[: min(places)], "stop") if places else (text, finish)


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model."""

    key: str
    """The name of the question within the run."""
    instruction: str
    """The question, not yet rendered."""
    own_prompt: str | None = None
    """The whole prompt, where it is not the study's around the instruction."""

    @property
    def prompt(self) -> str:
        """What the model reads."""
        return prompts.prompt(self.instruction) if self.own_prompt is None else self.own_prompt

    def answered(self, text: str, tokens: int, finish: Finish) -> Completion:
        """The answer to this request."""
        rendered = sha256(self.prompt)
        return Completion(key=self.key, text=text, prompt_sha256=rendered, tokens=tokens, finish=finish)


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a record."""

    id: str
    language: str
    instruction: str
    sample: int = 0
    """The index among several answers to the question."""
    own_prompt: str | None = None
    """As that of a `Request`."""

    @property
    def key(self) -> str:
        """The name of the question within the run."""
        return f"{self.language}/{self.id}" + (f"#{self.sample}" if self.sample else "")


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer."""

    key: str
    text: str
    prompt_sha256: str
    """The hash of the rendered prompt."""
    tokens: int
    """The number of generated tokens. Servers mostly count the end-of-sequence token."""
    finish: Finish


def questions_of(problems: Iterable[Problem]) -> list[Question]:
    """One question per problem, with its text unchanged."""
    return [Question(id=problem.id, language=problem.language, instruction=problem.question) for problem in problems]


def seed_of(seed: int, key: str) -> int:
    """The seed of one request, 31 bits, independent of all other requests."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:4], "big") >> 1


REQUESTS_PER_CHUNK = 512
"""The default chunk size."""


class Backend(Protocol):
    """A model that answers."""

    @property
    def chunk(self) -> int | None:
        """The requests saved together, as answers may depend on their batch. With None each is saved as it arrives."""

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers each request once, in any order."""
        ...


BACKENDS: Mapping[str, str] = {
    "transformers": "qalign.generation.local:open_local",
    "endpoint": "qalign.generation.endpoint:open_endpoint",
    "completions": "qalign.generation.endpoint:open_completions",
    "vllm": "qalign.generation.vllm_engine:open_vllm",
    "scripted": "qalign.generation.scripted:open_scripted",
}
"""The function that opens each kind of backend, with the arguments folder, decoding, placement."""


def open_backend(folder: Path, decoding: DecodingConfig, placement: Placement) -> Backend:
    """The backend of a decoding config, with the model of a folder."""
    module, name = BACKENDS[decoding.backend].split(":")
    opener: Callable[[Path, DecodingConfig, Placement], Backend] = getattr(import_module(module), name)
    return opener(folder, decoding, placement)
