"""Adding a language is one file: Italian, which the package does not have, lies in `italian/it.py` beside this one.

The generic tests of test_stories.py run for it as for the others (see `spoken` in conftest.py)."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import pytest
from reading_back import read_back, told, without_preface
from typer.testing import CliRunner

from qalign.cli import app
from qalign.corpora import locate, read
from qalign.errors import SettingError
from qalign.evaluation.extraction import paper, strict
from qalign.languages import LANGUAGES, STUDY, Language, load_languages
from qalign.world import text
from qalign.world.grammar import Grammar, grammar
from qalign.world.plots import Event, Story, work_out
from qalign.world.sets import SIZES, stories

ROW = """
[[language]]
code = "it"
name = "Italian"
native_name = "Italiano"
iso639_3 = "ita"
decimal = ","
groups = "."
answer_markers = ["la risposta è", "la risposta finale è", "risposta:"]
scales = { mila = 1000, milioni = 1000000 }
"""


@pytest.fixture
def language_file(tmp_path: Path) -> Path:
    path = tmp_path / "languages.toml"
    path.write_text(ROW, encoding="utf-8")
    return path


@pytest.fixture
def table(language_file: Path) -> dict[str, Language]:
    return load_languages(language_file)


def test_the_package_does_not_speak_it() -> None:
    """Neither before these tests nor after them."""
    assert "it" not in LANGUAGES
    with pytest.raises(SettingError, match=r"the world does not speak 'it': add the file .*languages/it\.py"):
        grammar("it")


def test_a_problem_in_italian(italian: Grammar) -> None:
    """By hand: the gender of eggs, ad Anna, the comma of kilograms."""
    shared: dict[str, str] = {"who": "emma", "item": "egg"}
    events = (
        Event("boxes", 1, n=Fraction(4), k=Fraction(5), container="bag", **shared),
        Event("give", n=Fraction(8), other="anna", **shared),
        Event("share", k=Fraction(3), **shared),
        Event("ask_friend", **shared),
    )
    worked = work_out(events)
    assert worked is not None
    story = Story("by hand", events, *worked)
    assert italian.question(story) == (
        "Emma ha 5 sacchetti. In ogni sacchetto ci sono 4 uova. Emma dà 8 uova ad Anna. "
        "Emma divide tutte le uova in parti uguali tra 3 amici. Quante uova riceve ogni amico?"
    )
    assert italian.solution(story) == (
        "Emma ha 5 sacchetti con 4 uova ciascuno. 5 × 4 = 20. Emma dà 8 uova ad Anna. 20 - 8 = 12. "
        "Emma divide tutte le uova in parti uguali tra 3 amici. 12 ÷ 3 = 4. La risposta è 4."
    )
    assert italian.say(Event("use_stuff", 1, n=Fraction(5, 2), who="leo", stuff="sugar")) == (
        "Poi Leo usa 2,5 chilogrammi di zucchero."
    )


def test_both_rules_read_the_known_answers(italian: Grammar, table: dict[str, Language]) -> None:
    assert dataclasses.asdict(italian.language) == dataclasses.asdict(table["it"])
    for name in ("gsm8kinstruct", "mgsm", "msvamp", "development", "development-out"):
        for story in stories(name):
            solution, gold = italian.solution(story), str(story.answer)
            reading = strict(solution, gold, table["it"], "stop")
            assert reading.right, solution
            assert reading.by == "marker:phrase", solution
            assert paper(solution, gold).right, solution


@pytest.mark.usefixtures("italian")
def test_its_questions_are_read_like_any_other(table: dict[str, Language], tmp_path: Path) -> None:
    codes = ["it", "de"]
    source = locate("world-gsm8kinstruct", "questions", codes, data=None, revisions=tmp_path / "r.json")
    found = read(source, codes, table)
    assert found.counts == {"it": SIZES["gsm8kinstruct"], "de": SIZES["gsm8kinstruct"]}
    in_italian, in_german = found.records[: SIZES["gsm8kinstruct"]], found.records[SIZES["gsm8kinstruct"] :]
    by_id = {story.signature: story for story in stories("gsm8kinstruct")}
    for pair, other in zip(in_italian, in_german, strict=True):
        assert (pair.id, pair.language, pair.text_en) == (other.id, "it", other.text_en)
        assert read_back(pair.text, "it") == read_back(pair.text_en, "en") == told(by_id[pair.id].events)


@pytest.mark.usefixtures("italian")
def test_it_is_in_the_text_of_a_base(table: dict[str, Language]) -> None:
    made = list(text.documents(3_000, [*STUDY, "it"]))
    mine = [document for document in made if document.language == "it"]
    assert len(mine) / len(made) == pytest.approx(text.SCARCE / (1 + text.SCARCE), rel=0.5)
    assert {"story", "sentences"} <= {document.kind for document in mine}
    for document in mine:
        if document.kind == "story":
            assert read_back(without_preface(document).split("\n")[0], "it")


@pytest.mark.usefixtures("italian")
def test_the_command_line_knows_it(language_file: Path, tmp_path: Path) -> None:
    words = ["check", "world-mgsm", "--role", "test", "--languages", "it,en", "--language-file", str(language_file)]
    checked = CliRunner().invoke(app, [*words, "--runs", str(tmp_path)])
    assert checked.exit_code == 0, checked.output
    assert "it" in checked.stdout
    shown = CliRunner().invoke(app, ["world", "show", "--languages", "it", "--count", "1"])
    assert shown.exit_code == 0
    assert "it  " in shown.stdout
    assert "La risposta è " in shown.stdout


def test_without_its_row_in_the_table_it_is_an_error(italian: Grammar, tmp_path: Path) -> None:
    source = locate("world-mgsm", "test", [italian.code], data=None, revisions=tmp_path / "r.json")
    with pytest.raises(SettingError, match=r"unknown language 'it'.*--language-file"):
        read(source, [italian.code], LANGUAGES)
