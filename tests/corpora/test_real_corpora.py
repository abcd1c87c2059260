"""Every corpus of the folder of real data, and the check against the published counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from qalign.corpora import CORPORA, Role, Text
from qalign.corpora.source import against_published
from qalign.errors import DataError
from qalign.languages import STUDY

Load = Callable[..., Text]

X = [code for code in STUDY if code != "en"]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "role", "counts", "notes"),
    [
        ("gsm8k", "english", {"en": 7473}, []),
        ("gsm8kinstruct", "questions",
         {"de": 7464, "es": 7468, "fr": 7464, "ja": 7466, "ru": 7360, "sw": 7469, "zh": 7363},
         ["gsm8kinstruct: rows that differ from the published count: de 7,464 of 7,466, es 7,468 of 7,470, fr 7,464 of "
          "7,469, ja 7,466 of 7,471, ru 7,360 of 7,361, sw 7,469 of 7,472, zh 7,363 of 7,466"]),
        ("ntrex", "general", dict.fromkeys([*X, "te"], 1997), []),
        ("mgsm", "test", dict.fromkeys([*STUDY, "te"], 250), []),
        ("msvamp", "test", dict.fromkeys(STUDY, 1000), []),
    ],
)  # fmt: skip
def test_counts(shared_data: Path, load: Load, name: str, role: Role, counts: dict[str, int], notes: list[str]) -> None:
    text = load(name, role, list(counts), shared_data)
    assert text.counts == counts
    assert text.notes == notes
    assert len(text.records) == sum(counts.values())
    assert text.published == {code: CORPORA[name].published[code] for code in counts}
    assert {one.source for one in text.records} == {name}


@pytest.mark.real_data
def test_what_a_record_holds(shared_data: Path, load: Load) -> None:
    first = load("gsm8k", "english", ["en"], shared_data).problems[0]
    assert (first.id, first.gold) == ("0", "72")
    assert first.answer is not None
    assert first.answer.endswith("#### 72")
    pair = load("gsm8kinstruct", "questions", ["sw"], shared_data).records[0]
    assert (pair.id, pair.kind) == ("0", "question")
    assert pair.text_en == first.question
    test = load("mgsm", "test", ["sw", "ja"], shared_data).problems
    assert {one.id for one in test if one.language == "sw"} == {one.id for one in test if one.language == "ja"}
    assert (test[0].gold, test[0].answer) == ("18", None)


@pytest.mark.real_data
def test_the_english_side_of_gsm8kinstruct_repeats_three_problems(shared_data: Path, load: Load) -> None:
    with pytest.raises(DataError, match=r"en.jsonl.gz line 2598: the id '2596' is that of .* line 2597 already; fix"):
        load("gsm8kinstruct", "english", ["en"], shared_data)
    text = load("gsm8kinstruct", "english", ["en"], shared_data, drop_invalid=True)
    assert text.counts == text.published == {"en": 7473}
    assert [row["where"].rpartition(" ")[2] for row in text.dropped] == ["2598", "2599", "4096"]


@pytest.mark.real_data
def test_the_other_general_text_is_read_by_path(shared_data: Path, load: Load) -> None:
    general = shared_data / "train" / "general"
    languages = ["de", "es", "ru", "th", "zh"]
    assert load(general / "xquad_questions", "general", languages).counts == dict.fromkeys(languages, 1190)
    assert load(general / "risingnews", "general", ["bn"]).counts == {"bn": 1597}


@pytest.mark.real_data
def test_a_language_of_which_only_the_english_side_is_there(shared_data: Path, load: Load) -> None:
    with pytest.raises(DataError, match=r"has no bn, th \(bn.en_only.jsonl.gz, th.en_only.jsonl.gz: only the English"):
        load("gsm8kinstruct", "questions", X, shared_data)


def test_fewer_rows_than_published_are_an_error(load: Load, clones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def publish(**counts: int) -> None:
        monkeypatch.setitem(CORPORA, "msvamp", dataclasses.replace(CORPORA["msvamp"], published=counts))

    publish(bn=1000, en=3)
    with pytest.raises(DataError, match=r"^msvamp holds fewer rows than published: bn 3 of 1,000; truncated\? "):
        load("msvamp", "test", ["bn", "en"], clones)
    assert load("msvamp", "test", ["en"], clones).published == {"en": 3}
    publish(en=2)
    text = load("msvamp", "test", ["bn", "en"], clones)
    assert text.notes == ["msvamp: rows that differ from the published count: en 3 of 2"]


def test_a_count_may_fall_short_by_two_in_a_hundred() -> None:
    assert against_published("msvamp", {"bn": 980}, {"bn": 1000}) == [
        "msvamp: rows that differ from the published count: bn 980 of 1,000"
    ]
    with pytest.raises(DataError, match=r"^msvamp holds fewer rows than published: bn 979 of 1,000; truncated"):
        against_published("msvamp", {"bn": 979, "en": 1000}, {"bn": 1000, "en": 1000})
