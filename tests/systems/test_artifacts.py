"""The files of finished stages, damaged: one line each, wherever they are read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qalign.errors import StageError
from qalign.pipeline import stage_record
from qalign.systems import bases
from qalign.systems.artifacts import Examples, Judgements, Model, Records

SCORE = {
    "n": 250, "accuracy": {"strict": 43.6, "paper": 43.2}, "correct": 109, "wrong": 139, "unanswered": 2, "cut_off": 0,
    "in_language": None, "in_another": None, "no_language": None,
    "standard_error": {"strict": 3.1, "paper": 3.1},
}  # fmt: skip
WHOLE: dict[str, tuple[Callable[[Path], Any], Any]] = {
    "counts.json": (
        lambda folder: Records(folder).counts(),
        {
            "corpus": "gsm8kinstruct", "counts": {"de": 7473, "th": 7466}, "published": {"de": 7473}, "kept": {"de": 7473},
            "dropped": [{"where": "de.jsonl line 3", "reason": "no answer"}], "notes": ["th: 7 rows fewer"],
        },
    ),
    "mixture.json": (
        lambda folder: Examples(folder).mixture(),
        [{"source": "gsm8k", "language": "de", "examples": 3, "repeated": 0, "characters": 40, "utf8_bytes": 41}],
    ),
    "scores.json": (lambda folder: Judgements(folder).scores(), {"de": SCORE, "average": {**SCORE, "correct": 0}}),
    "training.json": (
        lambda folder: Model(folder).summary(),
        {
            "examples": 3, "examples_by_language": {"de": 3},
            "mixture": [{"source": "gsm8k", "language": "de", "examples": 3, "tokens": 90, "supervised_tokens": 40}],
            "too_long": {"cut": {"de": 1}}, "steps": 1, "tokens": 90, "supervised_tokens": 40, "first_loss": 2.5,
            "last_loss": 2.5,
        },
    ),
}  # fmt: skip
BROKEN = [
    "",
    "null",
    "[]",
    "{",
    '{"de": 1}',
    "[1]",
    "NaN",
    "[" * 5000,
    '{"counts": {"de": "many"}}',
    '{"n": 1, "n": 2}',
    "\ud800",
]


@pytest.mark.parametrize("name", WHOLE)
def test_what_a_stage_left_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    read, value = WHOLE[name]
    (tmp_path / name).write_text(json.dumps(value), encoding="utf-8")
    found = msgspec.to_builtins(read(tmp_path))
    assert found == value


def test_own_data_has_no_published_counts(tmp_path: Path) -> None:
    _, value = WHOLE["counts.json"]
    (tmp_path / "counts.json").write_text(json.dumps({**value, "published": None}), encoding="utf-8")
    assert Records(tmp_path).counts().published is None


@pytest.mark.parametrize("name", WHOLE)
def test_what_no_stage_left_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    read, value = WHOLE[name]
    texts = [text for text in BROKEN if (name, text) != ("mixture.json", "[]")]
    rows = [value] if isinstance(value, dict) else value
    for key in rows[0]:
        texts += [
            json.dumps([{**rows[0], key: wrong}] if rows is value else {**value, key: wrong})
            for wrong in ([[]], {"a": [[]]})
        ]
    for text in texts:
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(StageError, match=rf"{name} is not what its stage left .* rm -r ") as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value)
    (tmp_path / name).unlink()
    with pytest.raises(StageError, match=name):
        read(tmp_path)


def test_damaged_metrics_are_refused_in_one_line(tmp_path: Path) -> None:
    assert Model(tmp_path).losses() == []
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.5, "tokens": 9}\n{"step": 2, "loss": 2}\n')
    assert [(row.step, row.loss) for row in Model(tmp_path).losses()] == [(1, 2.5), (2, 2.0)]
    for text in ('{"step": 1}\n', '{"step": 1, "loss": 2.5}\n{"st', "[]\n", '{"step": "1", "loss": 2.5}\n', "\0"):
        path.write_text(text)
        with pytest.raises(StageError, match=r"metrics\.jsonl is not what its stage left"):
            Model(tmp_path).losses()


def test_a_damaged_cache_of_hashes_changes_no_base(tmp_path: Path) -> None:
    """Also where a hash is another one by a flipped bit: the base would be taken for another, and all trained again."""
    cache = tmp_path / "hashes.json"
    expected = bases.base_on_disk(bases.WORLD_FOLDER, tmp_path).fingerprint
    whole = cache.read_text(encoding="utf-8")
    digest = next(value for key, value in json.loads(whole).items() if key != "sha256")
    flipped = whole.replace(digest, digest.translate(str.maketrans("0123456789abcdef", "1032547698badcfe")))
    assert flipped != whole
    for text in (*BROKEN, flipped, json.dumps(dict.fromkeys(json.loads(whole), 1))):
        cache.write_bytes(text.encode("utf-8", "surrogatepass"))
        assert bases.base_on_disk(bases.WORLD_FOLDER, tmp_path).fingerprint == expected
        assert cache.read_text(encoding="utf-8") == whole, "it is written anew"


def test_a_cache_of_hashes_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = bases.base_on_disk(bases.WORLD_FOLDER, tmp_path).fingerprint
    monkeypatch.setattr(bases, "file_sha256", lambda path: pytest.fail(f"{path} is known"))
    assert bases.base_on_disk(bases.WORLD_FOLDER, tmp_path).fingerprint == expected
    assert stage_record.read_object(tmp_path / "hashes.json")
