"""Options and `--set` with wrong values, on `plan`, which starts nothing: every option of every verb, every field."""

from __future__ import annotations

import dataclasses
import random
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from qalign.untrusted import printable

from .fixtures import COMMON, own
from .kills import link
from .reports import anything
from .trial import Call, Check, Run, Trial, judged

PLAN = (
    "plan",
    "qalign-mono",
    "--base",
    "tiny",
    *COMMON,
    *own("own", "questions", "english", "test"),
    "--languages",
    "de,sw",
)

# Wrong for any number: words, and what is no number that can be reckoned with.
NO_NUMBER = (
    "",
    "x",
    "1,5",
    "1 000",
    "0x10",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "--1",
    "١x",
    "1\x1b[31m",
    "\u202e1",
    "None?",
    "1/2",
)
NO_WHOLE = (*NO_NUMBER, "1.5", "1e3.5")
NO_WORD = ("", "x", "\x1b]52;c;eA==\x07", "a b", "ü", "None?", "x" * 4000, "\u202ecpu", "new\nline")

# The fields whose numbers must be above 0, or within bounds; other numbers may be what they are.
TOO_LOW = {
    "epochs": "0", "learning_rate": "0", "max_grad_norm": "0", "global_batch_size": "0", "max_length": "0", "max_steps": "0",
    "warmup_ratio": "1", "adam_beta1": "1", "adam_beta2": "1.5", "weight_decay": "-1", "adam_epsilon": "-1", "seed": "-1",
    "max_new_tokens": "0", "temperature": "-1", "top_p": "0", "examples_per_language": "0", "english_examples": "0",
    "problems_per_language": "0", "max_repetition": "-1", "vocabulary": "10", "hidden_size": "0", "intermediate_size": "0",
    "layers": "0", "heads": "0", "max_positions": "0", "rank": "0", "dropout": "1", "embedding_std": "-1",
    "residual_std": "-1",
}  # fmt: skip


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """All trials of options and settings."""
    yield from setting_trials(fixtures)
    yield from option_trials(fixtures)


def setting_trials(fixtures: Path) -> Iterator[Trial]:
    from qalign.generation import DecodingConfig
    from qalign.models.tiny import TinyConfig
    from qalign.systems.scales import DataConfig
    from qalign.training.config import Adapter, TrainingConfig

    stages: dict[str, Any] = {
        "training": TrainingConfig, "response-alignment": TrainingConfig, "training.adapter": Adapter, "tiny": TinyConfig,
        "generation": DecodingConfig, "data": DataConfig,
    }  # fmt: skip
    for stage, config in stages.items():
        hints = get_type_hints(config)
        for field in dataclasses.fields(config):
            values = list(wrong_values(hints[field.name]))
            if field.name in TOO_LOW and (field.name != "seed" or config is TrainingConfig):
                values.append(TOO_LOW[field.name])
            if stage == "response-alignment":
                values = values[:2]
            for number, value in enumerate(values):
                text = f"{stage}.{field.name}={value}"
                yield plan(f"set/{stage}.{field.name}-{number}", fixtures, ("--set", text), (field.name, "--set"))
    for number, text in enumerate(NO_SETTING):
        yield plan(f"set/form-{number}", fixtures, ("--set", text), ("--set", "stage", "seed"))


NO_SETTING = (
    "", "=", ".", ".=", "x", "training", "training=1", "training.=1", ".epochs=1", "training.epochs", "training.epoch=1",
    "traning.epochs=1", "training..epochs=1", "training.epochs.x=1", "nosystem.training.epochs=1", "training.adapter.x=1",
    "training.adapter=maybe", "training.__class__=1", "training.seed=4294967296", "TRAINING.epochs=1", "training.Epochs=1",
    "training.epochs==1", "training\x1b[31m.epochs=1", "training.\x1b]52;c;eA==\x07=1", "new\nline.x=1", "training.epochs=1;2",
    "general-alignment.epochs=1", "monoreason.training.epochs=1", "sft.response-alignment.epochs=1", "\u202e.x=1", "a" * 5000 + ".x=1",
)  # fmt: skip


def wrong_values(hint: Any) -> Iterator[str]:
    """Texts that are no value of a type."""
    origin = get_origin(hint)
    options = get_args(hint) if origin in (Union, types.UnionType) else (hint,)
    kinds = [option for option in options if option is not type(None)]
    if bool in kinds:
        yield from ("", "x", "maybe", "2", "-1", "truefalse", "\x1b[31mtrue")
    elif int in kinds:
        yield from NO_WHOLE
    elif float in kinds:
        yield from NO_NUMBER
    elif (
        any(get_origin(kind) is Literal for kind in kinds) and tuple not in [get_origin(kind) for kind in kinds]
    ) or kinds == [str]:
        yield from NO_WORD
    elif dataclasses.is_dataclass(kinds[0]):
        yield from ("x", "", "8", "{}")


# Option -> values that are wrong for it.
WRONG: dict[str, Sequence[str]] = {
    "--scale": NO_WORD,
    "--device": NO_WORD,
    "--seed": (*NO_WHOLE, "-1", "4294967296", "9" * 400),
    "--processes": (*NO_WHOLE, "0", "-1"),
    "--jobs": (*NO_WHOLE, "0", "-3"),
    "--tokens-per-micro-batch": (*NO_WHOLE, "0", "-1"),
    "--batch-size": (*NO_WHOLE, "0", "-8"),
    "--seconds-per-checkpoint": (*NO_NUMBER, "-1"),
    "--tracker": NO_WORD,
    "--languages": ("", ",", " , ", "xx", "de,xx", "DE", "de;sw", "de/sw", "\x1b[31m", "de,\u202esw", "../de", "average", "a" * 4000),
    "--test-languages": ("", ",", "xx", "de,xx", "DE", "th", "de;sw", "\x1b[31m"),
    "--questions": ("", "nowhere", "nowhere/at/all", "own/english.jsonl", "own", "\x1b[31m", "new\nline", "/dev/null", "a" * 5000, "mgsm"),
    "--english": ("", "nowhere", "own", "own/test", "own/questions", "\x1b]52;c;eA==\x07", "/dev/null", "a" * 5000, "flores"),
    "--test": ("", "nowhere", "own", "own/english.jsonl", "\x1b[31m", "new\nline", "/dev/null", "metamathqa", "a" * 300),
    "--multilingual": ("\x1b[31m",),
    "--data": ("nowhere", "own/english.jsonl", "\x1b[31m"),
    "--language-file": ("", "nowhere", "own", "own/english.jsonl", "/dev/null", "\x1b[31m", "a" * 5000, "own/questions/de.jsonl"),
    "--base": ("", "nowhere", "own", "own/english.jsonl", "Tiny", "a/b/c", "\x1b[31m", "./x/y", "new\nline", "~/x", "own/questions", "/dev/null", "a" * 5000),
    "--runs": ("own/english.jsonl", "own/english.jsonl/below", "/proc/runs", "/dev/null", "/dev/null/x", "a" * 5000, "\x1b[31m"),
    "--launcher": (),
    "--limit": (*NO_WHOLE, "0", "-1"),
    "--no-such-option": ("1", "\x1b[31m"),
}  # fmt: skip
NAMES = {
    "--test-languages": ("language",), "--languages": ("language",), "--test": ("benchmark", ". holds"), "--base": ("folder",),
    "--seconds-per-checkpoint": ("seconds",), "--tokens-per-micro-batch": ("tokens",), "--batch-size": ("batch",),
    "--language-file": ("language file", "toml"),
}  # fmt: skip
"""What a refusal may call an option, besides its own name and the value."""
FINE = {("--seconds-per-checkpoint", "inf"), ("--seconds-per-checkpoint", "1e999"), ("--runs", "\x1b[31m")}
"""Unusual, and right: no checkpoint ever, a folder of an odd name."""
SYSTEMS = (
    "", "qalign", "Qalign-mono", "qalign-mono ", "\x1b[31m", "\x1b]52;c;eA==\x07", "new\nline", "nomodule:f", "json:", ":f", "json:loads", "json:nothing",
    "os:system", "json", "a:b:c", "\u202eqalign-mono", "./x.py", "-x", "..:x", "a" * 4000, "qalign.systems.table:SYSTEMS", "math:pi", "builtins:exit", "sys:exit", "antigravity:x",
    "qalign.systems.recipes:_none",
)  # fmt: skip
NO_READING = ("--english", "--questions", "--test", "--data")
"""`plan` opens no corpus: what is wrong inside shows when it is read. There `run` is tried."""


def option_trials(fixtures: Path) -> Iterator[Trial]:
    for option, values in WRONG.items():
        for number, value in enumerate(values):
            words = without(PLAN, option)
            words = ("run", *words[1:]) if option in NO_READING or option == "--runs" else words
            named = (option, *NAMES.get(option, (option.strip("-"),)), printable(value)[:20] or option)
            may = anything if (option, value) in FINE or option == "--data" else None
            yield plan(f"options/{option.strip('-')}-{number}", fixtures, (option, value), named, words, may)
        if option != "--no-such-option":
            yield plan(f"options/{option.strip('-')}-without", fixtures, (option,), (option,), without(PLAN, option))
    for number, system in enumerate(SYSTEMS):
        yield plan(f"options/system-{number}", fixtures, (), ("",), ("plan", system, *PLAN[2:]))
    for verb in ("run", "plan", "explain", "eval", "adopt", "check", "score", "report", "reproduce", "world", "doctor"):
        if verb not in ("reproduce", "world", "doctor"):  # they need nothing, or show their help
            yield plan(f"options/{verb}-bare", fixtures, (), ("missing", "argument", "usage", verb), (verb,))
        yield plan(f"options/{verb}-unknown", fixtures, ("--no\x1b[31m",), ("option", "verb"), (verb, "x"))
    for number, words in enumerate(OTHERS):
        yield plan(f"options/other-{number}", fixtures, (), ("",), words)


OTHERS = (
    ("nosuchverb",), ("\x1b[31mrun",), ("",), ("--version=1",), ("list", "x"), ("list", ""), ("list", "\x1b[31m"), ("list", "settings", "x"), ("list", "a" * 5000), ("doctor", "x"), ("demo", "x"), ("demo", "--seed", "-1"), ("demo", "--jobs", "0"),
    ("world", "nosuch"), ("world", "show", "--languages", "xx"), ("world", "show", "--count", "0"), ("world", "show", "--count", "-1"),
    ("world", "show", "--corpus", "mgsm2"), ("world", "show", "--languages", "\x1b[31m"), ("world", "show", "--languages", "te"),
    ("world", "write", "own/english.jsonl"), ("world", "write", "/proc/x"), ("world", "write", "w", "--languages", "xx"), ("world", "base", "--seed", "-1"),
    ("report", "nowhere"), ("report", "own"), ("report", "/dev/null"), ("report", "own/english.jsonl"), ("report", "\x1b[31m"), ("report", "a" * 5000),
    ("report", "own/english.jsonl", "--format", "html"), ("report", "own/english.jsonl", "--format", "\x1b[31m"),
    ("check", "nowhere", "--role", "test"), ("check", "own/test", "--role", "tset"), ("check", "own/test", "--role", ""), ("check", "own/test", "--role", "\x1b[31m"),
    ("check", "own/test", "--role", "test", "--languages", "xx"), ("check", "own/test", "--role", "test", "--languages", ""), ("check", "own/test", "--role", "test", "--languages", "ja"),
    ("check", "", "--role", "test"), ("check", "\x1b[31m", "--role", "test"), ("check", "mgsm", "--role", "questions"), ("check", "flores", "--role", "english"),
    ("check", "mgsm", "--role", "test", "--data", "nowhere"), ("check", "a" * 5000, "--role", "test"),
    ("reproduce", "--seeds", ""), ("reproduce", "--seeds", "x"), ("reproduce", "--seeds", "-1"), ("reproduce", "--seeds", "1.5"), ("reproduce", "--seeds", "4294967296"),
    ("reproduce", "--seeds", "\x1b[31m"), ("reproduce", "--seeds", "1;2"), ("reproduce", "--seeds", "9" * 5000), ("reproduce", "--seed", "7"), ("reproduce", "--system", "x"), ("reproduce", "--system", "\x1b[31m"), ("reproduce", "--seeds", "1,,x"),
    ("reproduce", "--scale", "x"), ("reproduce", "--base", "nowhere"), ("reproduce", "--jobs", "0"),
    ("eval", "nowhere"), ("eval", ""), ("eval", "own"), ("eval", "\x1b[31m"), ("eval", "model", "--requests-in-flight", "2"), ("eval", "model", "--seconds-per-request", "2"),
    ("eval", "model", "--endpoint", ""), ("eval", "model", "--endpoint", "x"), ("eval", "model", "--endpoint", "localhost:8000"), ("eval", "model", "--endpoint", "ftp://x/v1"),
    ("eval", "model", "--endpoint", "http://"), ("eval", "model", "--endpoint", "http://\x1b[31m/v1"), ("eval", "model", "--endpoint", "http://127.0.0.1:99999/v1"),
    ("eval", "model", "--endpoint", "http://127.0.0.1:x/v1"), ("eval", "model", "--endpoint", "http://[::1/v1"), ("eval", "model", "--endpoint", "http://x/v1", "--seconds-per-request", "0"),
    ("eval", "model", "--endpoint", "http://x/v1", "--seconds-per-request", "nan"), ("eval", "model", "--endpoint", "http://x/v1", "--seconds-per-request", "inf"),
    ("eval", "model", "--endpoint", "http://x/v1", "--requests-in-flight", "0"), ("eval", "model", "--set", "generation.backend=endpoint"), ("eval", "model", "--test", "nowhere"), ("eval", "model", "--limit", "2", "--set", "data.problems_per_language=2"), ("eval", "model", "--processes", "x"),
    ("eval", "model", "--test", "mgsm", "--data", "nowhere"), ("eval", "model@x"), ("eval", "model", "--base", "x", "--set", "tiny.layers=1"),
    ("eval", "model", "--set", "training.epochs=1", "--test", "own/test"), ("eval", "scripted", "--test", "own/test", "--scale", "sample"),
    ("adopt", "monoreason", "nowhere"), ("adopt", "nosystem", "model"), ("adopt", "monoreason", "own"), ("adopt", "monoreason", "\x1b[31m"), ("adopt", "monoreason", "model", "--stage", "x"),
    ("adopt", "monoreason", "model", "--stage", "\x1b[31m"), ("adopt", "monoreason", "model", "--stage", ""), ("adopt", "monoreason", "own/english.jsonl"), ("adopt", "monoreason", ""),
)  # fmt: skip


def without(words: Sequence[str], option: str) -> tuple[str, ...]:
    """The words less an option and its value."""
    kept, skip = [], False
    for word in words:
        if skip or word == option:
            skip = word == option
            continue
        kept.append(word)
    return tuple(kept)


def plan(
    name: str,
    fixtures: Path,
    extra: Sequence[str],
    refused: Sequence[str],
    words: Sequence[str] = PLAN,
    accepted: Check | None = None,
) -> Trial:
    """A command in a folder with own data and models, which must be refused."""

    def run(folder: Path, draw: random.Random) -> Run:
        link(fixtures, folder)
        return judged((yield Call((*words, *extra))), refused=refused, accepted=accepted)

    return Trial(name, run)
