"""MetaMath's augmentation: what is kept of replies, in the world and from a teacher, and where it is counted."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from own_data import OwnData
from qalign import pipeline
from qalign.alignment.augmentation import PHRASES, PROMPTS, backward, original_of
from qalign.errors import SettingError
from qalign.languages import LANGUAGES
from qalign.pipeline import in_order
from qalign.records import Prediction, Problem
from qalign.systems import SCALES, SYSTEMS, Study
from qalign.systems.ask import Ask
from qalign.systems.augmented import Agreed, Rephrasings, RightAnswers, Statements
from qalign.systems.keep import Keep
from qalign.systems.kinds import MakeExamples, Train
from qalign.systems.reinforce import Reinforce
from qalign.systems.settings import parse_settings
from qalign.systems.table import build
from qalign.world.sets import stories

EN = LANGUAGES["en"]
PROBLEM = Problem("p", "en", "Al has 5. He buys 3. How many has he?", None, "8", "gsm8k")


def replies(*texts: str) -> list[Prediction]:
    """Replies; one that ends in NUL was truncated."""
    return [
        Prediction("p", "en", text.removesuffix("\0"), "", 9, "length" if text.endswith("\0") else "stop", n)
        for n, text in enumerate(texts)
    ]


def test_right_answers_are_kept_once() -> None:
    right = "5 + 3 = 8.\nThe answer is: 8"
    texts = (
        right,
        f"{right}\n\nQuestion: Next?\0",
        f"So\n{right}",
        "The answer is: 9",
        "I do not know.",
        "",
        f"{right}\0",
    )
    kept, left_out = RightAnswers("AnsAug").kept(PROBLEM, replies(*texts), EN)
    assert [one.answer for one in kept] == [right, f"So\n{right}"]
    assert [one.id for one in kept] == ["p/AnsAug/0", "p/AnsAug/1"]
    assert {(one.question, one.gold, one.source) for one in kept} == {(PROBLEM.question, "8", "gsm8k (AnsAug)")}
    assert left_out == {"same text": 1, "wrong number": 1, "no number": 1, "no text": 1, "truncated": 1}
    assert RightAnswers("AnsAug").kept(replace(PROBLEM, gold=None), replies(right), EN) == ([], {"no gold answer": 1})


def test_answers_in_the_digits_of_the_language_are_right() -> None:
    kept, _ = RightAnswers("FOBAR").kept(replace(PROBLEM, language="bn"), replies("উত্তর হল ৮"), LANGUAGES["bn"])
    assert len(kept) == 1


def test_rephrasings_are_other_questions_with_the_same_gold() -> None:
    texts = (PROBLEM.question.replace(" ", "  "), "How many has Al after 5 and 3?", "How many has Al after 5 and 3?")
    kept, left_out = Rephrasings("Rephrased").kept(replace(PROBLEM, answer="old"), replies(*texts), EN)
    assert [(one.question, one.answer, one.gold, one.id) for one in kept] == [
        ("How many has Al after 5 and 3?", None, "8", "p/Rephrased/0")
    ]
    assert left_out == {"same text": 2}


def test_a_statement_has_to_state_the_answer_and_keep_the_unknown() -> None:
    last = replace(PROBLEM, question="Al has 5. How many has he after 3 days?")
    one, two = backward(last, EN, "SV", PHRASES)
    filter = Statements("SV", PHRASES)
    kept, left_out = filter.kept(one, replies("He has 8 after 3 days.", "He has some."), EN)
    assert [made.question for made in kept] == [
        "Al has x. He has 8 after 3 days. What is the value of unknown variable x?"
    ]
    assert (kept[0].id, kept[0].gold, left_out) == ("p/SV/0/0", "5", {"answer not stated": 1})
    assert filter.kept(two, replies("He has 8."), EN) == ([], {"unknown not kept": 1})


# --- in the world -----------------------------------------------------------------------------------------------------


def world_study(runs: Path) -> Study:
    return Study(base_name="world", scale=SCALES["toy"], runs=runs)


def keeps(model: Train) -> dict[str, Keep]:
    return {stage.label: stage for stage in in_order([model]) if isinstance(stage, Keep)}


def test_the_world_phrases_its_own_problems(tmp_path: Path) -> None:
    """Rephrased and backward problems need no model there; each stays a problem of the training split."""
    model = build(world_study(tmp_path), "metamath")
    assert isinstance(model, Train) and isinstance(model.examples, MakeExamples)
    labels = [stage.label for stage in model.examples.corpora if isinstance(stage, Keep)]
    assert labels == ["AnsAug", "Rephrased", "SV", "FOBAR"]
    found = keeps(model)
    pipeline.run([found["Rephrased"], found["SV"], found["FOBAR"]], tmp_path)
    training = {story.signature: story.split for story in stories("gsm8k")}
    for kind in labels[1:]:
        made = found[kind].open(found[kind].folder(tmp_path))
        problems, (row,) = list(made.problems()), made.rejections()
        assert len({one.id for one in problems}) == len(problems) == row.kept
        assert row.answers == row.kept + sum(row.left_out.values())
        assert {one.source for one in problems} == {f"world-gsm8k ({kind})"}
        for one in problems:
            original, of_kind, _ = original_of(one.id)
            assert of_kind == kind and training[original] == "train"
        assert len(problems) == 400 if kind == "Rephrased" else len(problems) > 100, row
        if kind != "Rephrased":
            assert all(" x " in one.question and one.question.endswith("unknown x?") for one in problems)
            assert row.left_out == {"no text": row.answers - row.kept}
    (sampled,) = found["AnsAug"].answers
    (of_rft,) = (stage for stage in in_order([build(world_study(tmp_path), "rft")]) if isinstance(stage, Ask))
    assert sampled.fingerprint == of_rft.fingerprint, "what SFT sampled for RFT is not sampled again"


# --- a teacher --------------------------------------------------------------------------------------------------------


def taught(own_data: OwnData, runs: Path, *settings: str, **options: str) -> Study:
    return Study(
        base_name="world", scale=SCALES["paper"], runs=runs, english=str(own_data.english),
        tests=(str(own_data.test),), settings=parse_settings(settings, SYSTEMS), **options,  # type: ignore[arg-type]
    )  # fmt: skip


SCRIPTED = ("teacher.backend=scripted", "teacher.samples=1")


def test_a_teacher_replies_to_all_prompts(own_data: OwnData, tmp_path: Path) -> None:
    """The whole way with a scripted teacher, which answers one problem well and all others with one text."""
    question, gold = "Anna has 3 apples and buys 2 more. How many has she?", "5"
    rephrased = "After 3 apples, Anna buys 2. How many are there?"
    masked = "Anna has x apples and buys 2 more. "
    stated = f"{masked}She has 5 apples. What is the value of unknown variable x?"
    fobar = f"{masked}How many has she?{PHRASES['en'][0].format(n=gold, x='x')}"
    good, back = "3 + 2 = 5.\nThe answer is: 5", "x = 5 - 2 = 3. The value of x is 3.\nThe answer is: 3"

    def asked(kind: str, **fields: str) -> str:
        return PROMPTS[kind].format_map(fields)

    answers = {
        asked("answer", question=question): good,
        asked("answer", question=rephrased): f"First, {good}",
        asked("answer", question=stated): back,
        asked("answer", question=fobar): f"So {back}",
        asked("rephrasing", question=question): f"{rephrased}\n\nQuestion: another",
        asked("statement", sentence="How many has she?", known=gold): "She has 5 apples.",
    }
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    (teacher / "script.json").write_text(json.dumps({"answers": answers, "otherwise": "I do not know."}))
    study = taught(own_data, tmp_path / "runs", *SCRIPTED, teacher=str(teacher))
    model = build(study, "metamath")
    assert isinstance(model, Train)
    pipeline.run([model.examples], study.runs)
    examples = list(model.examples.open(model.examples.folder(study.runs)).examples())
    first = {original_of(one.id)[1]: (one.instruction, one.response) for one in examples}
    assert first == {
        "AnsAug": (question, good),
        "Rephrased": (rephrased, f"First, {good}"),
        "SV": (stated, back),
        "FOBAR": (fobar, f"So {back}"),
    }
    assert Counter(one.source for one in examples) == {f"own ({kind})": 1 for kind in first}
    ours = replace(study, settings=parse_settings(["examples.template=metamath-training", *SCRIPTED], SYSTEMS))
    split = build(ours, "metamath")
    assert isinstance(split, Train)
    pipeline.run([split.examples], study.runs)
    prompts = {
        original_of(one.id)[1]: one.prompt for one in split.examples.open(split.examples.folder(study.runs)).examples()
    }
    assert str(prompts["FOBAR"]).partition("### Input:\n")[2].startswith("If we know the answer"), (
        "its line is the input"
    )
    assert "### Input" not in str(prompts["SV"])
    counts = {kind: stage.open(stage.folder(study.runs)).rejections()[0] for kind, stage in keeps(model).items()}
    assert set(counts) == {*first, "Rephrased, questions", "SV, questions"}
    assert counts["AnsAug"].left_out == {"no number": 5}


AGREED = [
    (["It is 7.", "So 7."], "7", {"same number": 1}),
    (["It is 7.", "It is 8."], None, {"answers differ": 2}),
    (["It is 7."], None, {"answers differ": 1}),
    (["It is 7.", "7.0", "It is 8.", "I do not know."], None, {"answers differ": 3, "no number": 1}),
    (["It is 8.", "It is 7.", "It is 7.", "7"], "7", {"same number": 2, "another number": 1}),
    (["", "It is 7.\0", "It is 8.", "It is 8."], None, {"no text": 1, "truncated": 1, "answers differ": 2}),
]


@pytest.mark.parametrize(("texts", "gold", "reasons"), AGREED)
def test_an_evolved_problem_is_kept_where_its_answers_agree(
    texts: list[str], gold: str | None, reasons: dict[str, int]
) -> None:
    problem = replace(PROBLEM, gold=None)
    kept, left_out = Agreed().kept(problem, replies(*texts), EN)
    assert (kept, left_out) == ([] if gold is None else [replace(problem, gold=gold, answer=kept[0].answer)], reasons)
    if gold is not None:
        assert kept[0].answer == next(text for text in texts if gold in text)


def test_a_teacher_evolves_problems(own_data: OwnData, tmp_path: Path) -> None:
    """A harder and an easier problem are made of one question, and only the harder one gets a number."""
    question = "Anna has 3 apples and buys 2 more. How many has she?"
    harder, easier = "Anna has 3 apples, buys 2 and eats 1. How many has she?", "Anna has 3 apples. How many?"
    answers = {
        PROMPTS["harder"].format(question=question): f"Harder: {harder}\n\nQuestion: another",
        PROMPTS["easier"].format(question=question): easier,
        PROMPTS["answer"].format(question=harder): "3 + 2 - 1 = 4.\nThe answer is: 4",
    }
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    (teacher / "script.json").write_text(json.dumps({"answers": answers, "otherwise": "I do not know."}))
    study = taught(own_data, tmp_path / "runs", "teacher.backend=scripted", teacher=str(teacher))
    model = build(study, "wizardmath")
    assert isinstance(model, Reinforce) and isinstance(model.model, Train)
    pipeline.run([model.model.examples, *model.problems], study.runs)
    problems = [one for stage in model.problems for one in stage.open(stage.folder(study.runs)).problems()]
    evolved = {one.id: (one.question, one.answer, one.gold) for one in problems if "/" in one.id}
    (name,) = [one.id for one in problems if one.question == question]
    assert evolved == {f"{name}/Harder/0": (harder, "3 + 2 - 1 = 4.\nThe answer is: 4", "4")}
    examples = list(model.model.examples.open(model.model.examples.folder(study.runs)).examples())
    assert sorted(one.id for one in examples) == sorted(one.id for one in problems)


def test_a_teacher_on_a_server_replies(own_data: OwnData, tmp_path: Path) -> None:
    asked = list[tuple[str, str]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((request["model"], request["messages"][-1]["content"]))
            message = {"role": "assistant", "content": "The answer is: 5"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            body = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        study = taught(own_data, tmp_path, teacher="big", teacher_endpoint=url)
        model = build(study, "metamath")
        assert isinstance(model, Train)
        stage = keeps(model)["AnsAug"]
        pipeline.run([stage], study.runs)
        server.shutdown()
    assert len(asked) == 12, "two replies to each of six problems"
    assert {name for name, _ in asked} == {"big"}
    assert PROMPTS["answer"].format(question="Anna has 3 apples and buys 2 more. How many has she?") in {
        text for _, text in asked
    }
    (row,) = stage.open(stage.folder(study.runs)).rejections()
    assert (row.kept, row.left_out) == (1, {"same text": 1, "wrong number": 10})


def test_who_the_teacher_is(own_data: OwnData, tmp_path: Path) -> None:
    def asks(*settings: str, **options: str) -> list[Ask]:
        model = build(taught(own_data, tmp_path, *settings, **options), "metamath")
        return [stage for stage in in_order([model]) if isinstance(stage, Ask)]

    of_base = asks()
    assert len(of_base) == 6
    assert {one.model.fingerprint for one in of_base} == {taught(own_data, tmp_path).base.fingerprint}
    assert {(one.decoding.samples, one.decoding.temperature) for one in of_base} == {(2, 0.7)}, "as published"
    served = asks(teacher="big", teacher_endpoint="http://localhost:1/v1")
    assert {(one.decoding.backend, one.server) for one in served} == {("endpoint", ("http://localhost:1/v1", "big"))}
    elsewhere = asks(teacher="big", teacher_endpoint="http://127.0.0.1:2/v1")
    assert [one.fingerprint for one in elsewhere] == [one.fingerprint for one in served], "the address is no identity"
    assert "localhost" not in repr(served[0])
    for options, message in (
        ({"teacher_endpoint": "http://localhost:1/v1"}, "--teacher NAME"),
        ({"teacher": "big", "teacher_endpoint": "nowhere"}, "--teacher-endpoint 'nowhere' is not the URL"),
        ({"teacher": "tiny"}, "random weights"),
    ):
        with pytest.raises(SettingError, match=message):
            asks(**options)
    with pytest.raises(SettingError, match="--teacher-endpoint URL"):
        asks("teacher.backend=endpoint", teacher="big")
