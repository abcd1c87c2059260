"""Model folders that are damaged or odd, in `eval` and `adopt`; and scripts of the scripted model."""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .fixtures import COMMON, eval_words, own
from .kills import link
from .mutations import DEEP_OBJECT, JSON_WORDS, at, dumps, places, wrong_for
from .settings import PLAN
from .trial import Call, Check, Run, Trial, judged, said

EVAL = (
    "eval",
    "model",
    *COMMON,
    *own("own", "test"),
    "--test-languages",
    "en",
    "--set",
    "generation.max_new_tokens=4",
    "--runs",
    "runs",
    "--output",
    "results",
    "--quiet",
)
MOST_OF_CONFIG, MOST_OF_TOKENIZER = 60, 40


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """All trials of models and scripts."""
    draw = random.Random(seed)
    yield from model_trials(fixtures, draw)
    yield from script_trials(fixtures, draw)


def model_trials(fixtures: Path, draw: random.Random) -> Iterator[Trial]:
    model = fixtures / "model"
    yield model_trial("valid", fixtures, lambda folder: None, None)
    for file, most in (
        ("config.json", MOST_OF_CONFIG),
        ("tokenizer.json", MOST_OF_TOKENIZER),
        ("generation_config.json", 12),
        ("tokenizer_config.json", 12),
    ):
        valid = json.loads((model / file).read_text(encoding="utf-8"))
        every = [place for place in places(valid) if len(place) < 5 and not (place[0] == "model" and len(place) > 2)]
        short = file.removesuffix(".json").replace("_", "-")
        for number, place in enumerate(draw.sample(every, min(most, len(every)))):
            name = draw.choice(sorted(wrong_for(at(valid, place))))
            text = dumps(valid, place, wrong_for(at(valid, place))[name])
            yield model_trial(
                f"{short}-{number}-{name}", fixtures, text_of(file, text), ("model", file, *map(str, place[-1:]))
            )
        for name, text in {
            "empty": "",
            "half": dumps(valid)[: len(dumps(valid)) // 2],
            "list": "[]",
            "null": "null",
            "deep": '{"a":' * 9000 + "1" + "}" * 9000,
            "object": "{}",
            "html": "<html>",
        }.items():
            yield model_trial(f"{short}-{name}", fixtures, text_of(file, text), ("model", file))
        if file in ("config.json", "tokenizer.json"):
            yield model_trial(
                f"{short}-missing", fixtures, lambda folder, f=file: (folder / f).unlink(), (file, "tokenizer")
            )
    for name, change in WEIGHTS.items():
        yield model_trial(f"weights-{name}", fixtures, weights(change), ("model", "weights", "safetensors"))
    for name, change in HEADERS.items():
        yield model_trial(f"header-{name}", fixtures, header(change), ("model", "weights", "safetensors"))
    for name, change in TENSORS.items():
        yield model_trial(f"tensors-{name}", fixtures, tensors(change), ("model", "weights", "safetensors", "tensor"))
    for name, build in {
        "pickle": lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        "folder": lambda folder: ((folder / "model.safetensors").unlink(), (folder / "model.safetensors").mkdir()),
        "loop": lambda folder: (
            (folder / "model.safetensors").unlink(),
            (folder / "model.safetensors").symlink_to("model.safetensors"),
        ),
        "index-without-shards": lambda folder: (
            (folder / "model.safetensors").unlink(),
            (folder / "model.safetensors.index.json").write_text(
                '{"metadata": {}, "weight_map": {"a": "model-00001-of-00001.safetensors"}}'
            ),
        ),
        "index-escapes": lambda folder: (
            (folder / "model.safetensors").rename(folder / "x.safetensors"),
            (folder / "model.safetensors.index.json").write_text(
                '{"metadata": {}, "weight_map": {"a": "../../x.safetensors"}}'
            ),
        ),
        "index-list": lambda folder: (
            (folder / "model.safetensors").rename(folder / "x.safetensors"),
            (folder / "model.safetensors.index.json").write_text("[]"),
        ),
        "adapter-only": lambda folder: (
            (folder / "model.safetensors").rename(folder / "adapter_model.safetensors"),
            (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "x"}'),
        ),
        "remote-code": lambda folder: (folder / "config.json").write_text(
            '{"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}}'
        ),
        "encoder": lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'),
        "unknown-type": lambda folder: (folder / "config.json").write_text('{"model_type": "nothing\\u001b[31m"}'),
    }.items():
        words = ("adapter",) if name == "adapter-only" else ("model", "config", "safetensors", "weights")
        yield model_trial(f"files-{name}", fixtures, build, words)


def text_of(file: str, text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / file).write_text(text, encoding="utf-8")


def weights(change: Callable[[bytes], bytes]) -> Callable[[Path], Any]:
    def build(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(change(path.read_bytes()))

    return build


def header(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    """The JSON in front of the weights, changed; its length fits."""

    def build(data: bytes) -> bytes:
        length = struct.unpack("<Q", data[:8])[0]
        whole = json.loads(data[8 : 8 + length])
        made = change(whole)
        text = (made if isinstance(made, str) else json.dumps(made if made is not None else whole)).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + length :]

    return weights(build)


def tensors(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    """The tensors themselves, changed and saved again."""

    def build(folder: Path) -> None:
        from safetensors.numpy import load_file, save_file

        held = load_file(folder / "model.safetensors")
        change(held)
        save_file(held, folder / "model.safetensors", {"format": "pt"})

    return build


def _first(held: dict[str, Any]) -> str:
    return sorted(name for name in held if name.endswith("q_proj.weight"))[0]


WEIGHTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[:-100],
    "half": lambda data: data[: len(data) // 2],
    "head-only": lambda data: data[:8],
    "length-huge": lambda data: struct.pack("<Q", 2**62) + data[8:],
    "length-zero": lambda data: struct.pack("<Q", 0) + data[8:],
    "length-one": lambda data: struct.pack("<Q", 1) + data[8:],
    "behind": lambda data: data + b"\0" * 64,
    "pickle": lambda data: b"\x80\x04K\x05.",
    "zip": lambda data: b"PK\x03\x04" + data[4:],
    "lfs": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
    "zeros": lambda data: b"\0" * len(data),
}
HEADERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "list": lambda head: "[]",
    "deep": lambda head: "[" * 50000,
    "null": lambda head: "null",
    "offsets": lambda head: head[_first(head)].update(data_offsets=[0, 10**12]),
    "offsets-negative": lambda head: head[_first(head)].update(data_offsets=[-5, 5]),
    "shape-huge": lambda head: head[_first(head)].update(shape=[10**9, 10**9]),
    "shape-text": lambda head: head[_first(head)].update(shape="x"),
    "shape-negative": lambda head: head[_first(head)].update(shape=[-1, 32]),
    "dtype": lambda head: head[_first(head)].update(dtype="X99"),
    "entry-list": lambda head: head.update({_first(head): []}),
    "entry-null": lambda head: head.update({_first(head): None}),
}
TENSORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "missing": lambda held: held.pop(_first(held)),
    "all-missing": lambda held: held.clear(),
    "unexpected": lambda held: held.update(extra=held[_first(held)].copy()),
    "renamed": lambda held: held.update({f"module.{_first(held)}": held.pop(_first(held))}),
    "wrong-shape": lambda held: held.update({_first(held): held[_first(held)][:-1].copy()}),
    "turned": lambda held: held.update({_first(held): held[_first(held)].reshape(-1).copy()}),
    "nan": lambda held: held[_first(held)].fill(float("nan")),
    "infinite": lambda held: held[_first(held)].fill(float("inf")),
    "one-nan": lambda held: held[_first(held)].__setitem__((0, 0), float("nan")),
    "integers": lambda held: held.update({_first(held): held[_first(held)].astype("int32")}),
}


def model_trial(name: str, fixtures: Path, change: Callable[[Path], Any], refused: Sequence[str] | None) -> Trial:
    """A changed model: refused, or, where the change does not count, the same answers as those of the valid one."""

    def run(folder: Path, draw: random.Random) -> Run:
        link(fixtures, folder)
        (folder / "model").unlink()
        shutil.copytree(fixtures / "model", folder / "model")
        change(folder / "model")
        adopts = refused is not None and draw.random() < 0.25
        if adopts:
            result = yield Call(("adopt", "monoreason", "model", *PLAN[2:]))
            return judged(
                result, refused=refused, accepted=lambda r: None if name.startswith(LOOSE) else "it was adopted"
            )
        result = yield Call(EVAL)
        accepted: Check = lambda r: same_answers(folder, fixtures)  # noqa: E731
        return judged(result, refused=refused, accepted=None if name.startswith(TIGHT) else accepted)

    return Trial(f"models/{name}", run)


TIGHT = ("weights-", "header-", "tensors-", "files-")
"""Changes that no model survives."""
LOOSE = ("config-", "tokenizer-", "generation-")
"""Changes of settings, which an adopted model may have."""


def same_answers(folder: Path, fixtures: Path) -> str | None:
    """Whether a model answered as the valid one does."""
    found = [path.read_text(encoding="utf-8") for path in folder.glob("runs/stages/generate-*/predictions.jsonl")]
    expected = (fixtures / "answers.jsonl").read_text(encoding="utf-8")
    return None if found == [expected] else "other answers than those of the valid model"


def script_trials(fixtures: Path, draw: random.Random) -> Iterator[Trial]:
    valid = json.loads((fixtures / "scripted" / "script.json").read_text())
    first = next(iter(valid["answers"]))
    lacking = {**valid, "answers": {question: text for question, text in valid["answers"].items() if question != first}}
    for path in (("answers",), ("answers", first), ("otherwise",)):
        script = lacking if path == ("otherwise",) else valid  # there `otherwise` is what answers a question
        for name, raw in wrong_for(at(script, path)).items():
            if path == ("otherwise",) and name == "null":
                continue
            yield script_trial(f"{len(path)}-{path[0]}-{name}", fixtures, dumps(script, path, raw))
    for name, text in {
        "empty": "", "list": "[]", "null": "null", "half": dumps(valid)[:200], "object": "{}", "no-answers": '{"otherwise": "x"}',
        "answers-twice": dumps(valid)[:-1] + ', "answers": {}}', "deep": DEEP_OBJECT, "utf-16": "\ufeff" + "x", "unknown-key": dumps({**valid, "answer": {}}),
        "surrogate-key": '{"answers": {"a\\ud800": "x"}, "otherwise": "y"}', "escapes": '{"answers": {}}',
    }.items():  # fmt: skip
        yield script_trial(name, fixtures, text)


def script_trial(name: str, fixtures: Path, text: str) -> Trial:
    def run(folder: Path, draw: random.Random) -> Run:
        link(fixtures, folder)
        (folder / "odd").mkdir()
        (folder / "odd" / "script.json").write_text(text, encoding="utf-8")
        result = yield Call([*eval_words("odd"), "--runs", "runs", "--output", "results", "--quiet"])
        accepted = said if name in ("1-otherwise-surrogate", "2-answers-surrogate") else None  # repaired
        return judged(result, refused=("script", "answer", *JSON_WORDS), accepted=accepted)

    return Trial(f"scripts/{name}", run)
