"""The nearest path to one that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from qalign.errors import SettingError
from qalign.paths import instead, nearest_path
from qalign.systems.bases import base, checkpoint


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models" / "first-model").mkdir(parents=True)
    (tmp_path / "answers.jsonl").touch()
    (tmp_path / ".answer.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("models/first-modl", "models/first-model"),
        ("model/first-model", "models/first-model"),
        ("modles/frist-model", "models/first-model"),
        ("answers.json", "answers.jsonl"),
        ("./Answers.jsonl", "answers.jsonl"),
    ],
)
def test_a_mistyped_part_anywhere_in_a_path(here: Path, typed: str, near: str) -> None:
    assert nearest_path(typed) == Path(near)
    assert nearest_path(here / typed) == here / near
    assert instead(typed, "check the path") == f"did you mean '{near}'?"


@pytest.mark.parametrize(
    "typed", ["models/other", "nothing/at/all", "answers.jsonl/inside", "models", "", "\0", "../" * 5]
)
def test_nothing_like_it(here: Path, typed: str) -> None:
    assert instead(typed, "check the path") == "check the path"


@pytest.mark.parametrize("named", [base, checkpoint])
def test_a_mistyped_folder_is_not_looked_up_on_the_hub(
    here: Path, monkeypatch: pytest.MonkeyPatch, named: object
) -> None:
    assert callable(named)
    says = "there is no folder 'models/first-modl'; did you mean 'models/first-model'? For the model on the hub give"
    with pytest.raises(SettingError, match=says.replace("?", r"\?")):
        named("models/first-modl", here / "runs")


def test_another_size_of_a_model_is_another_model(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "owner" / "model-7b").mkdir(parents=True)
    asked: list[str] = []
    monkeypatch.setattr(
        "qalign.systems.bases.resolve", lambda repository, *more: asked.append(repository.name) or "0" * 40
    )
    base("owner/model-13b", here / "runs")
    base("owner/modl-7b@main", here / "runs")
    assert asked == ["owner/model-13b", "owner/modl-7b"]
