"""Answers by programs: run, read by both rules in every language, counted by how they ended, and asked again in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from qalign import pipeline
from qalign.alignment.prompts import prompt
from qalign.alignment.templates import TEMPLATES
from qalign.errors import SettingError
from qalign.evaluation import sandbox
from qalign.evaluation.extraction import RULES
from qalign.evaluation.sandbox import printed_number
from qalign.languages import LANGUAGES, STUDY, as_rows
from qalign.pipeline import Stage, Work, in_order
from qalign.records import Finish, Prediction, Problem, write_jsonl
from qalign.systems import SCALES, SYSTEMS, Study
from qalign.systems.artifacts import PREDICTIONS, RECORDS, Answers, Records
from qalign.systems.ask import Ask
from qalign.systems.comparison import compare
from qalign.systems.kinds import Judge
from qalign.systems.programs import NONE, RunPrograms, ThenInWords, counts, without_sandbox
from qalign.systems.settings import parse_settings
from qalign.world.programs import ASKED

TEXTS = {
    "right": "x = 3\nprint(x + 4)",
    "wrong": "print(8)",
    "words": "3 + 4 = 7. The answer is 7.",
    "no number": "print('seven')",
    "error": "print(1 / 0)",
    "time-out": "while True:\n    pass\nprint(7)",
    "refused": "import os\nprint(7)",
    "silent": "I do not know.",
}
"""What the model wrote to each problem. The gold answer is 7."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sevens(Stage[Records]):
    def run(self, work: Work) -> None:
        problems = [Problem(name, "de", f"Frage {name}?", None, "7", "own") for name in TEXTS]
        write_jsonl(work.output / RECORDS, problems)


@dataclass(frozen=True, eq=False, kw_only=True)
class Written(Stage[Answers]):
    texts: tuple[tuple[str, str], ...]
    finish: Finish = "stop"

    def run(self, work: Work) -> None:
        made = [Prediction(name, "de", text, "", 9, self.finish) for name, text in self.texts]
        write_jsonl(work.output / PREDICTIONS, made)


@dataclass(frozen=True, eq=False, kw_only=True)
class InWords(Stage[Answers]):
    """Answers with the right number to all records, as a model would that is asked in words."""

    records: Stage[Records]

    def run(self, work: Work) -> None:
        rows = work.read(self.records).problems()
        made = [Prediction(one.id, "de", f"{one.question} Die Antwort ist 7.", "", 9, "stop") for one in rows]
        write_jsonl(work.output / PREDICTIONS, made)


def judge(runs: Path, fallback: bool, finish: Finish = "stop") -> Judge:
    """The judgements of the texts above, made on a machine without a sandbox."""
    problems = Sevens(name="problems")
    ran = RunPrograms(
        name="programs",
        answers=Written(name="written", texts=tuple(TEXTS.items()), finish=finish),
        problems=problems,
        sandbox=NONE,
    )
    answers: Stage[Answers] = ran
    if fallback:
        answers = ThenInWords(name="answers", programs=ran, words=InWords(name="words", records=ran))
    made = Judge(name="score", answers=answers, problems=problems, languages=as_rows(["de"], LANGUAGES))
    pipeline.run([made], runs)
    return made


def outcomes(made: Judge, runs: Path) -> dict[str, str]:
    return {one.id: one.outcome for one in made.open(made.folder(runs)).judgements()}


def test_each_end_is_counted_apart(tmp_path: Path) -> None:
    made = judge(tmp_path, fallback=False)
    assert outcomes(made, tmp_path) == {
        "right": "correct", "wrong": "wrong", "words": "correct", "no number": "unanswered", "error": "unanswered",
        "time-out": "unanswered", "refused": "unanswered", "silent": "unanswered",
    }  # fmt: skip
    (row,) = counts(made, tmp_path)
    assert row.ends == {
        "right": 1, "wrong": 1, "no program": 2, "no number": 1, "error": 1, "time-out": 1, "refused": 1,
    }  # fmt: skip
    assert (row.language, row.right_in_words) == ("de", 1)


def test_what_gives_no_number_is_asked_again_and_a_wrong_number_is_not(tmp_path: Path) -> None:
    made = judge(tmp_path, fallback=True)
    assert {name for name, outcome in outcomes(made, tmp_path).items() if outcome != "correct"} == {"wrong"}
    (asked_again,) = (stage for stage in in_order([made]) if isinstance(stage, InWords))
    asked = {one.id for one in asked_again.open(asked_again.folder(tmp_path)).predictions()}
    assert asked == {"no number", "error", "time-out", "refused", "silent"}
    (row,) = counts(made, tmp_path)
    assert row.ends["right"] == 1 and row.right_in_words == 6


def test_a_truncated_program_that_failed_is_a_truncated_answer(tmp_path: Path) -> None:
    found = outcomes(judge(tmp_path, fallback=False, finish="length"), tmp_path)
    assert (found["right"], found["error"], found["wrong"]) == ("correct", "cut_off", "wrong")


@pytest.mark.parametrize("code", STUDY)
@pytest.mark.parametrize("number", ["18", "1200", "2.125", "1234567", "0.5", "1000.5", "12345.678"])
def test_both_rules_read_a_printed_number_in_every_language(code: str, number: str) -> None:
    """Python writes 2.125 with a point, which is 2,125 to a German."""
    text = printed_number(f"{number}\n") or ""
    assert {rule: row.read(text, number, LANGUAGES[code], "stop").right for rule, row in RULES.items()} == {
        "strict": True,
        "paper": True,
    }


def test_no_program_is_no_claim_of_one_in_results(tmp_path: Path) -> None:
    problems = Sevens(name="problems")
    words = Judge(
        name="score",
        answers=InWords(name="words", records=problems),
        problems=problems,
        languages=as_rows(["de"], LANGUAGES),
    )
    pipeline.run([words], tmp_path)
    assert counts(words, tmp_path) == []


# --- the system -------------------------------------------------------------------------------------------------------


def mammoth(runs: Path, *settings: str, systems: Sequence[str] = ("mammoth",)) -> list[Judge]:
    study = Study(
        base_name="world",
        scale=SCALES["toy"],
        runs=runs,
        tests=("world-mgsm",),
        settings=parse_settings(settings, SYSTEMS),
    )
    return [judge for one in compare(study, systems) for judge in one.scores.values()]


def test_mammoth_is_asked_for_a_program_as_it_was_trained(tmp_path: Path) -> None:
    (made,) = mammoth(tmp_path)
    assert isinstance(made.answers, ThenInWords)
    asks = [stage for stage in in_order([made]) if isinstance(stage, Ask)]
    assert [one.prompt_template for one in asks] == ["program", "study"]
    assert replace(asks[0].decoding, template=None) == asks[1].decoding
    assert TEMPLATES["program"].prompt("How many?", "English") == prompt(ASKED.format(question="How many?"))


def test_the_fallback_is_part_of_the_identity(tmp_path: Path) -> None:
    (with_words,), (without,) = mammoth(tmp_path), mammoth(tmp_path, "programs.fallback=false")
    assert isinstance(without.answers, RunPrograms)
    assert with_words.fingerprint != without.fingerprint


def test_what_runs_programs_is_part_of_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that was refused is not taken over on a machine with a sandbox."""
    monkeypatch.setattr(sandbox, "fault", lambda: "")
    (sandboxed,) = mammoth(tmp_path)
    monkeypatch.setattr(sandbox, "fault", lambda: "bubblewrap is not installed")
    (refusing,) = mammoth(tmp_path)
    assert sandboxed.fingerprint != refusing.fingerprint
    assert without_sandbox(in_order([sandboxed])) == ""
    assert "refused, for there is no sandbox: bubblewrap is not installed" in without_sandbox(in_order([refusing]))
    (ran,) = (stage for stage in in_order([refusing]) if isinstance(stage, RunPrograms))
    assert "refused" in ran.size(tmp_path)


def test_settings_of_programs_need_a_system_that_writes_them(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"programs\.fallback=false: this run has no stage 'programs'"):
        mammoth(tmp_path, "programs.fallback=false", systems=["sft"])


def test_other_systems_are_asked_in_words(tmp_path: Path) -> None:
    (made,) = mammoth(tmp_path, systems=["sft"])
    assert isinstance(made.answers, Ask)
    assert replace(made.answers).fingerprint == made.answers.fingerprint
