"""What is known before anything is fetched: shapes of well-known bases, lengths of published corpora, rates of devices.

Shapes are those in the bases' `config.json` on the hub. Lengths were counted with LLaMA's tokenizer on the published data,
300 examples a language, prompt included; those of the embedded world with the tokenizer of its base. Rates are measured
(docs/performance.md) or computed from the vendor's dense bfloat16 peak, and each row says which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..training.memory import Shape


@dataclass(frozen=True, slots=True)
class Base:
    """What is known of a model before it is opened."""

    shape: Shape | None
    """None where its config names no widths."""
    parameters: int
    fetched: int | None = None
    """Bytes of its safetensors and tokenizer on the hub."""


def _base(hidden: int, inner: int, blocks: int, vocabulary: int, parameters: int, bytes_each: int = 2) -> Base:
    shape = Shape(hidden=hidden, inner=inner, blocks=blocks, vocabulary=vocabulary)
    return Base(shape, parameters, bytes_each * parameters)


_LLAMA_2_7B = _base(4096, 11008, 32, 32_000, 6_738_415_616)
_LLAMA_2_13B = _base(5120, 13824, 40, 32_000, 13_015_864_320)
_LLAMA_3_8B = _base(4096, 14336, 32, 128_256, 8_030_261_248)

# fmt: off
BASES: Mapping[str, Base] = {
    "meta-llama/Llama-2-7b-hf": _LLAMA_2_7B,
    "meta-llama/Llama-2-7b-chat-hf": _LLAMA_2_7B,
    "NousResearch/Llama-2-7b-hf": _LLAMA_2_7B,
    "meta-llama/Llama-2-13b-hf": _LLAMA_2_13B,
    "meta-llama/Llama-2-13b-chat-hf": _LLAMA_2_13B,
    "NousResearch/Llama-2-13b-hf": _LLAMA_2_13B,
    "meta-llama/Llama-2-70b-hf": _base(8192, 28672, 80, 32_000, 68_976_648_192),
    "meta-llama/Meta-Llama-3-8B": _LLAMA_3_8B,
    "meta-llama/Llama-3.1-8B": _LLAMA_3_8B,
    "meta-llama/Llama-3.2-1B": _base(2048, 8192, 16, 128_256, 1_235_814_400),
    "meta-llama/Llama-3.2-3B": _base(3072, 8192, 28, 128_256, 3_212_749_824),
    "mistralai/Mistral-7B-v0.1": _base(4096, 14336, 32, 32_000, 7_241_732_096),
    "Qwen/Qwen2.5-0.5B": _base(896, 4864, 24, 151_936, 494_032_768),
    "Qwen/Qwen2.5-1.5B": _base(1536, 8960, 28, 151_936, 1_543_714_304),
    "Qwen/Qwen2.5-7B": _base(3584, 18944, 28, 152_064, 7_615_616_512),
    "TinyLlama/TinyLlama_v1.1": _base(2048, 5632, 22, 32_000, 1_100_048_384, 4),
}
"""By name on the hub. Weights are stored in 2 bytes each, in 4 where the row says so."""

CORPUS_BYTES: Mapping[str, int] = {
    "openai/gsm8k": 5_100_000, "Mathoctopus/GSM8KInstruct_Parallel": 57_000_000,
    "Mathoctopus/MGSM8KInstruct_Cross": 64_000_000, "meta-math/MetaMathQA": 396_000_000,
    "openlanguagedata/flores_plus": 40_000_000, "juletxara/mgsm": 1_100_000, "Mathoctopus/MSVAMP": 4_600_000,
}
"""Bytes of the published corpora by name on the hub; a Git clone of each holds about as much."""


@dataclass(frozen=True, slots=True)
class Length:
    """The mean example of a corpus."""

    tokens: float
    """Tokens, with the prompt."""
    supervised: float
    utf8_bytes: float


LENGTHS: Mapping[tuple[str, str], Length] = {
    ("gsm8kinstruct", "x-en-questions"): Length(204, 0.32, 556),
    ("gsm8kinstruct", "en-x-questions"): Length(204, 0.45, 556),
    ("gsm8kinstruct", "x-en-answers"): Length(305, 0.42, 647),
    ("gsm8kinstruct", "en-x-answers"): Length(305, 0.43, 647),
    ("gsm8kinstruct", "response"): Length(258, 0.52, 568),
    ("gsm8kinstruct-cross", "response"): Length(243, 0.55, 542),
    ("gsm8k", "response"): Length(232, 0.56, 523),
    ("metamathqa", "response"): Length(242, 0.58, 540),
    ("flores", "x-en-general"): Length(143, 0.21, 363),
    ("ntrex", "x-en-general"): Length(143, 0.21, 363),
    ("world-gsm8kinstruct", "x-en-questions"): Length(108, 0.33, 406),
    ("world-gsm8kinstruct", "en-x-questions"): Length(108, 0.34, 406),
    ("world-gsm8kinstruct", "x-en-answers"): Length(137, 0.36, 381),
    ("world-gsm8kinstruct", "en-x-answers"): Length(137, 0.38, 381),
    ("world-gsm8kinstruct", "response"): Length(116, 0.45, 385),
    ("world-gsm8kinstruct-cross", "response"): Length(114, 0.46, 325),
    ("world-gsm8k", "response"): Length(110, 0.44, 271),
    ("world-metamathqa", "response"): Length(111, 0.44, 272),
    ("world-mathinstruct", "response"): Length(103, 0.34, 232),
    ("world-evolved", "response"): Length(116, 0.45, 285),
    ("world-flores", "x-en-general"): Length(51, 0.15, 135),
}
"""By corpus and task. Flores has not been counted: its row is that of NTREX, sentences of the same kind. Nor has the crossed
corpus: its row follows from the English questions and the answers in X of the others."""
# fmt: on


@dataclass(frozen=True, slots=True)
class Device:
    """A kind of accelerator."""

    name: str
    memory: float
    """GiB, as a program sees them."""
    training: float
    """Useful FLOP a second of full fine-tuning: 6 x parameters x tokens."""
    recomputing: float
    """The same with activation checkpointing."""
    generation: float
    """Tokens a second of a 7B model."""
    source: str


H200 = Device("H200", 139.7, training=490e12, recomputing=389e12, generation=2330, source="measured on one H200")
"""7B at 12,096 tokens a second, 13B with activation checkpointing at 4,976, and 64 answers at once."""


def _computed(name: str, memory: float, peak: float, bandwidth: float) -> Device:
    """A device that was not measured: the H200's share of the peak (products) and of the bandwidth in TB/s (answers)."""
    products, answers = peak / 989e12, bandwidth / 4.8
    rates = H200.training * products, H200.recomputing * products, H200.generation * answers
    return Device(name, memory, *rates, "computed from one H200")


DEVICES: tuple[Device, ...] = (
    H200,
    _computed("H100", 79.1, 989e12, 3.35),
    _computed("A100", 79.1, 312e12, 2.0),
    _computed("L40S", 44.3, 362e12, 0.864),
    _computed("RTX 4090", 23.5, 165e12, 1.008),
)
"""Of several kinds with the same memory, the first is meant where only the memory is given."""


def device_named(name: str) -> Device | None:
    """The row whose name stands in `name`, such as "NVIDIA H100 80GB HBM3"."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((row for row in DEVICES if row.name.lower() in words), None)


def device_with(gigabytes: float) -> Device | None:
    """The first row with about that memory."""
    return next((row for row in DEVICES if abs(row.memory - 0.988 * gigabytes) < 0.05 * gigabytes), None)
