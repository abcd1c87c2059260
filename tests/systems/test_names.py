"""Own test sets and models whose names are those of the study: never shown as what they are not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from own_data import OwnData
from qalign.cli import app
from qalign.errors import SettingError
from qalign.evaluation.benchmarks import BENCHMARKS
from qalign.results.titles import Titles
from qalign.systems import SCALES, SYSTEMS, Study
from qalign.systems.checks import titles
from qalign.systems.comparison import compare
from qalign.systems.names import checked, model_name, model_names, test_set_name
from qalign.systems.running import folder_name
from qalign.systems.settings import parse_settings
from steps import Step

# The imported name begins as a test's does.
set_name, taken = test_set_name, [name for row in SYSTEMS.values() for name in (row.name, row.title)]
del test_set_name


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("mgsm", "own:mgsm"),
        ("MGSM", "own:MGSM"),
        ("mSVAMP", "own:mSVAMP"),
        ("World, in domain", "own:World, in domain"),
        ("monoreason", "monoreason"),
        ("sw", "sw"),
        ("school.v2", "school.v2"),
        ("red\x1b[31m", "red\\x1b[31m"),
        ("bad\udcff", "bad\\udcff"),
    ],
)
def test_an_own_test_set_is_no_benchmark(folder: str, name: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    assert set_name(str(tmp_path / folder)) == name
    assert name not in BENCHMARKS
    for row in SYSTEMS.values():
        assert name not in row.published
    assert titles().benchmark(name) == name


def test_a_file_is_named_without_its_ending(tmp_path: Path) -> None:
    (tmp_path / "mgsm.jsonl.gz").touch()
    assert set_name(str(tmp_path / "mgsm.jsonl.gz")) == "own:mgsm"
    assert [set_name(name) for name in BENCHMARKS] == list(BENCHMARKS)


def test_a_model_is_no_system(tmp_path: Path) -> None:
    for folder in ("monoreason", "SFT", "mgsm"):
        (tmp_path / folder).mkdir()
    names = [model_name(str(tmp_path / folder), taken) for folder in ("monoreason", "SFT", "mgsm")]
    assert names == ["model:monoreason", "model:SFT", "mgsm"]
    assert model_name("sft", taken) == "model:sft", "as a server may call it"
    assert model_name("owner/sft", taken) == "owner/sft"
    assert [titles().system(name) for name in names] == names


def test_kinds_do_not_share_titles() -> None:
    names = Titles({"sw": "A system"}, {"sft": "A benchmark"}, {"xx": "A language"})
    assert (names.system("sft"), names.benchmark("sw"), names.language("sw")) == ("sft", "sw", "Swahili")
    assert (names.system("xx"), names.language("xx")) == ("xx", "A language")


def test_two_test_sets_of_one_name(tmp_path: Path) -> None:
    tests = [tmp_path / "a" / "mgsm", tmp_path / "b" / "mgsm"]
    for folder in tests:
        folder.mkdir(parents=True)
        (folder / "en.jsonl").write_text(
            '{"id": "1", "question": "Ann has 2 pens and buys 3. How many?", "answer": "5"}\n'
        )
    model = Step("base", 1, {}, None, given=tmp_path)

    def scored(*given: str) -> list[str]:
        return list(Study(base_name="tiny", scale=SCALES["sample"], runs=tmp_path, tests=given).scored(model))

    with pytest.raises(SettingError, match="two test sets are named 'own:mgsm'; rename the folder or file of one"):
        scored(*map(str, tests))
    with pytest.raises(SettingError, match="two test sets are named 'world-mgsm'; ask for it once"):
        scored("world-mgsm", "world-mgsm")
    assert scored("world-mgsm", str(tests[0])) == ["world-mgsm", "own:mgsm"]


def qalign(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def test_nothing_published_stands_beside_ones_own(own_data: OwnData, tmp_path: Path) -> None:
    model, test = tmp_path / "monoreason", tmp_path / "mgsm"
    model.mkdir()
    (model / "script.json").write_text('{"answers": {}, "otherwise": "The answer is 5."}')
    shutil.copytree(own_data.test, test)
    words = ("--scale", "sample", "--set", "generation.backend=scripted", "--runs", tmp_path / "runs", "--quiet")
    code, out, said = qalign("eval", model, "--test", test, "--test-languages", "en,sw", *words)
    assert code == 0, said
    (written,) = (tmp_path / "runs/results").iterdir()
    assert written.name.startswith("run-")
    assert json.loads((written / "results.json").read_text())["systems"].keys() == {"model:monoreason"}
    _, again, _ = qalign("report", written / "results.json")
    page = (written / "index.html").read_text()
    for text in (out, again, page):
        assert "own:mgsm" in text
        assert "model:monoreason" in text
        assert "mGSM" not in text.replace("mGSM and mSVAMP", "")
        assert "MetaMath" not in text


def test_results_of_run_and_reproduce_lie_apart() -> None:
    stages = [Step("score-mgsm", 1, {}, None)]
    names = {
        folder_name("run", ["1234"], stages),
        folder_name("reproduce", ["1234"], stages),
        folder_name("run", ["5"], stages),
        folder_name("reproduce", ["1234", "5"], stages),
        folder_name("run", ["1234"], []),
    }
    assert len(names) == 5
    assert {name.partition("-")[0] for name in names} == {"run", "reproduce"}


@pytest.mark.parametrize("seed", ["7", "0"])
def test_reproduce_takes_seeds_and_no_seed(seed: str, tmp_path: Path) -> None:
    code, out, said = qalign("reproduce", "--seed", seed, "--runs", tmp_path / "runs")
    assert (code, out) == (2, "")
    assert (
        said == f"qalign: error: reproduce trains under several seeds: give --seeds {seed} instead of --seed {seed}\n"
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("QAlign (Mixed)", "that of a system"),
        ("mSVAMP", "that of a benchmark"),
        ("sw", "that of a language"),
        ("Swahili", "that of a language"),
        ("", "cannot be a name"),
        (" slow", "no spaces at the ends"),
        ("a=b", "no ="),
        ("red\x1b[31m", "'red\\x1b[31m' cannot be a name"),
        ("x" * 101, "up to 100 characters"),
    ],
)
def test_a_given_name_is_no_published_one(name: str, says: str) -> None:
    with pytest.raises(SettingError) as caught:
        checked(name, taken)
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


def test_models_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    models = [tmp_path / "first" / "run" / "final", tmp_path / "second" / "run" / "final", tmp_path / "other"]
    for folder in models:
        folder.mkdir(parents=True)
    names = [str(folder) for folder in models]
    assert model_names(names, [], taken) == ["first/run/final", "second/run/final", "other"]
    assert model_names(names, ["old"], taken) == ["old", "final", "other"]
    for given, says in ((["other"], "'other' would stand twice"), (["a", "A"], "'A' would stand twice")):
        with pytest.raises(SettingError, match=says):
            model_names([names[0], names[2]] if len(given) == 1 else names, given, taken)
    with pytest.raises(SettingError, match="4 names for 3 models"):
        model_names(names, list("abcd"), taken)


def test_the_name_of_a_folder_may_have_an_equals_sign(tmp_path: Path) -> None:
    odd = tmp_path / "lr=1"
    odd.mkdir()
    assert model_names([str(odd)], [], []) == ["lr=1"], "a folder's name may have one"


def test_a_name_before_a_path_is_told_the_option(tmp_path: Path) -> None:
    path = tmp_path / "final"
    path.mkdir()
    with pytest.raises(SettingError, match=f"a name is given with --name: {path} --name good"):
        model_names([f"good={path}"], [], [])
    odd = tmp_path / "lr=1"
    odd.mkdir()
    assert model_names([str(odd)], [], []) == ["lr=1"], "a folder's name may have one"


def test_a_system_stands_twice_with_other_settings(own_data: OwnData, tmp_path: Path) -> None:
    lines = ["slow.response-alignment.learning_rate=1e-6", "v1.2.response-alignment.learning_rate=2e-6"]
    made = compare(two(own_data, tmp_path, lines), ["monoreason", "slow=monoreason", "v1.2=monoreason"])
    assert [row.name for row in made] == ["monoreason", "slow", "v1.2"]
    assert [row.title for row in made] == ["MonoReason", "", ""], "own data are not MetaMath's"
    assert [bool(row.published) for row in made] == [True, False, False], "published is published of the system alone"
    rates = [row.model.config["training"]["learning_rate"] for row in made]
    assert rates[1:] == [1e-6, 2e-6]
    assert rates[0] not in rates[1:]


def test_an_own_recipe_has_settings_of_its_own(
    own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named_recipes.py").write_text("from qalign.systems.recipes import monoreason as mine\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    lines = ["named_recipes:mine.response-alignment.learning_rate=1e-6"]
    made = compare(two(own_data, tmp_path, lines), ["monoreason", "named_recipes:mine"])
    assert made[1].model.config["training"]["learning_rate"] == 1e-6
    assert made[0].model.fingerprint != made[1].model.fingerprint


@pytest.mark.parametrize(
    ("systems", "settings", "says"),
    [
        (["a=monoreason", "a=sft"], [], "two systems have the name 'a'"),
        (["sft=monoreason"], [], "that of a system"),
        (["a="], [], "unknown system"),
        (["=sft"], [], "cannot be a name"),
        (["response-alignment=sft"], [], "that of a stage"),
        (["generation=sft"], [], "that of a stage"),
        (["a=sft"], ["sft.response-alignment.epochs=2"], "this run has no system 'sft': known: a"),
        (["a=sft"], ["b.response-alignment.epochs=2"], "this run has no stage 'b'"),
    ],
)
def test_names_of_systems_that_cannot_be(
    systems: list[str], settings: list[str], says: str, own_data: OwnData, tmp_path: Path
) -> None:
    with pytest.raises(SettingError) as caught:
        compare(two(own_data, tmp_path, settings), systems)
    assert says in str(caught.value)


def two(own: OwnData, tmp_path: Path, settings: list[str]) -> Study:
    """A study on own data, with some settings."""
    return Study(
        base_name="tiny", scale=SCALES["paper"], runs=tmp_path / "runs", languages=("de",), questions=str(own.questions),
        english=str(own.english), tests=(str(own.test),), settings=parse_settings(settings, SYSTEMS),
    )  # fmt: skip
