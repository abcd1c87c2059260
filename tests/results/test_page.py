"""The page is one file that stands alone, and what a model or a user wrote is text in it, wherever it stands."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import synthetic
from reader import Reader
from typed import answered, content_of, curves_of, page_of, plain_results, results_of, tables

from qalign.evaluation.scores import Score
from qalign.results.accuracy_tables import interval
from qalign.results.charts import (
    bar_chart,
    gap_chart,
    gap_scale,
    loss_charts,
    nice_ticks,
    path,
    round_scale,
    smoothed,
)
from qalign.results.page import explorer_data, language_tag, safe_json, write_page
from qalign.results.titles import Titles

HOSTILE = (
    "</script><script>alert(1)</script></td></table>{{ 7 * 7 }}{% raw %}\u2028\u2029\"'`&amp;<!--\x00\x1b[31m\u202e"
)


@pytest.fixture(scope="module")
def whole() -> str:
    given = list(synthetic.answers(4))
    return page_of(synthetic.found(given), synthetic.TITLES, synthetic.curves(), given)


FIXED = ("verdict", "outcome", "group", "format")


def hostile(value: Any) -> Any:
    """The same with something hostile behind every text, keys of the form and words of it left alone."""
    if isinstance(value, dict):
        return {key: (v if key in FIXED else hostile(v)) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [hostile(inner) for inner in value]
    return value + HOSTILE if isinstance(value, str) else value


def hostile_names(found: dict[str, Any]) -> dict[str, Any]:
    """With hostile names of systems, benchmarks, settings and one language too."""

    def named(rows: dict[str, Any]) -> dict[str, Any]:
        return {name + HOSTILE: row for name, row in rows.items()}

    languages = {"xx" + HOSTILE: synthetic.found(list(synthetic.answers(1)))["systems"]["sft"]["mgsm"]["bn"]}
    return {
        **found,
        "run": named(found["run"]),
        "systems": {k: {b: {**s, **languages} for b, s in v.items()} for k, v in
                    ((k, named(v)) for k, v in named(found["systems"]).items())},
        "trained_on": named(found["trained_on"]),
        "published": {k: named(v) for k, v in named(found["published"]).items()},
        "consistency": {k: named(v) for k, v in named(found["consistency"]).items()},
    }  # fmt: skip


def test_nothing_that_others_wrote_is_read_as_markup() -> None:
    given = list(synthetic.answers(2))
    plain = Reader(page_of(synthetic.found(given), Titles(), synthetic.curves(), given))
    spoiled = [
        {**hostile(entry), "answers": {name + HOSTILE: row for name, row in hostile(entry["answers"]).items()}}
        for entry in given
    ]
    found = hostile_names(hostile(synthetic.found(given)))
    curves = {name + HOSTILE: hostile(stages) for name, stages in synthetic.curves().items()}
    page = page_of(found, Titles(), curves, spoiled)
    read = Reader(page)

    assert [tag for tag, _ in read.tags].count("script") == 2
    assert {tag for tag, _ in read.tags} == {tag for tag, _ in plain.tags}
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert "{{ 7 * 7 }}" in read.text(), "names are not templates"
    assert "</script><script>alert" in read.text(), "it is shown as it is"
    assert "\x00" not in page
    assert "\x1b" not in page
    page.encode("utf-8")
    for _, title, _ in read.data()["systems"]:
        assert title.endswith(HOSTILE), "the explorer has every character"
    assert read.data()["problems"][0][2][0][3][0][0].endswith(HOSTILE)
    (data,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert not re.search("[<>&\u2028\u2029\ud800-\udfff]", data)


def test_the_page_stands_alone(whole: str) -> None:
    read = Reader(whole)
    assert whole.startswith("<!doctype html>")
    assert not re.search(r"https?:|url\(|@import", whole)
    assert not any(name in ("src", "srcset", "action", "ping") for _, attributes in read.tags for name in attributes)
    links = [attributes["href"] for _, attributes in read.tags if "href" in attributes]
    assert all(link.startswith(("#", "data:")) for link in links)
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    labelled = [a["aria-labelledby"] for _, a in read.tags if "aria-labelledby" in a]
    assert set(labelled) <= set(ids)


def test_the_policy_allows_this_style_and_this_script_alone(whole: str) -> None:
    read = Reader(whole)
    (policy,) = (a["content"] for _, a in read.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    style = "".join(data for inside, data in read.texts if inside == "style")
    script = next(text for attributes, text in read.scripts if "type" not in attributes)
    for text in (style, script):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert not any("style" in attributes for _, attributes in read.tags), "the policy would drop it"
    assert "innerHTML" not in script
    assert "</" not in script


def test_what_was_found_stands_in_the_page(whole: str) -> None:
    text = " ".join(Reader(whole).text().split())
    found = synthetic.found(list(synthetic.answers(4)))
    for said in (*found["findings"], *(row["claim"] for row in found["claims"]), "does not hold", "not decided"):
        assert said in text
    average = content_of(found).systems["qalign-mixed"]["mgsm"]["average"]
    low, high = interval(average, average.n)
    assert (
        f"{average.accuracy['strict']:.1f}±{average.standard_error['strict']:.1f}{low:.1f}to{high:.1f}"
        in text.replace(" ", "")
    )
    for said in ("49.6", "data.problems_per_language=40", "adopted from meta-math/MetaMath-7B-V1.0", "QAlign, En→X questions",
                 "shared with QAlign (monolingual)", "3 truncated", "Dropped 1 row: th.json line 3", "gsm8k"):  # fmt: skip
        assert said in text, said


def test_every_table_of_the_other_forms_stands_in_the_page(whole: str) -> None:
    found = synthetic.found(list(synthetic.answers(4)))
    text = " ".join(Reader(whole).text().split())
    text, every = text.replace("->", "→"), tables(found, synthetic.TITLES)
    assert len(every) == 10
    for table in every:
        for said in (table.title, table.note, *(cell for row in table.rows for cell in row)):
            assert said.replace("->", "→") in text or said == "-", said
    assert "SFTbn402596" in text.replace(" ", ""), "of the answers in Bengali 9 had the wrong number, 6 were too alike"


def test_published_figures_stand_beside_the_published_benchmark_alone(whole: str) -> None:
    assert "29.7" in Reader(whole).text()
    found = synthetic.found(list(synthetic.answers(2)))
    found["systems"] = {name: {"own": rows["mgsm"]} for name, rows in found["systems"].items()}
    assert "29.7" not in Reader(page_of(found, Titles(), {}, [])).text()


def test_nothing_but_the_results_is_needed() -> None:
    row = {"n": 4, "accuracy": {"strict": 50.0, "paper": 25.0}, "standard_error": {"strict": 1.25, "paper": 2.0},
           "correct": 2, "wrong": 1, "unanswered": 1, "cut_off": 0}  # fmt: skip
    found = plain_results({"base": "tiny", "seed": 1}, {"mine": {"own": {"en": row, "average": row}}}, {"mine": []}, {})
    read = Reader(page_of(found, Titles()))
    ids = {attributes.get("id") for _, attributes in read.tags}
    assert {"results", "by-language", "explorer"} <= ids
    assert not {"claims", "consistency", "comparisons"} & ids
    assert "Nothing has been measured" not in read.text()
    assert "Nothing has been measured" in Reader(page_of(plain_results({}, {}, {}, {}), Titles())).text()


def test_text_in_a_language_says_which(whole: str) -> None:
    data = Reader(whole).data()
    tags = {code: tag for code, _, _, tag, _ in data["languages"]}
    assert tags == {code: {"zh": "zh-Hans"}.get(code, code) for code in synthetic.STUDY}
    assert [language_tag(code) for code in ("pt_BR", "x y", "")] == ["pt-BR", "", ""]


def test_places_in_an_answer_are_counted_as_the_script_counts() -> None:
    text = "😀 it is 42."
    entry = {"benchmark": "own", "id": "7", "language": "en", "gold": "42", "question": "?", "answers": {
        "mine": {"text": text, "value": "42", "start": text.index("42"), "end": text.index("42") + 2, "outcome": "correct",
                 "right": {"strict": True, "paper": True}}}}  # fmt: skip
    other = {**entry, "id": "8", "answers": {"gone": entry["answers"]["mine"]}}
    data = explorer_data(content_of({}), Titles(), [answered(entry), answered(other)])
    (_, key, ((_, gold, _, (answer, gone)),)), _ = data["problems"]
    assert (key, gold, gone) == ("7", "42", None)
    text16 = text.encode("utf-16-le")
    assert text16[2 * answer[2] : 2 * answer[3]].decode("utf-16-le") == "42"


def test_json_holds_what_it_was_given() -> None:
    value = {"a": [HOSTILE, "\ud800", 1.5, None, True], "<b>": 2}
    assert json.loads(safe_json(value)) == {"a": [HOSTILE, "\ud800", 1.5, None, True], "<b>": 2}


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out" / "index.html"
    found = synthetic.found(list(synthetic.answers(1)))
    write_page(results_of(found, answers=synthetic.answers(1)), path)
    before = path.read_bytes()
    with pytest.raises(KeyError):
        write_page(results_of({"rules": {}}), path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]
    write_page(results_of(found, answers=synthetic.answers(1)), path)
    assert path.read_bytes() == before, "the same results make the same page"


# --- charts -----------------------------------------------------------------------------------------------------------


def test_bars_stand_for_their_figures() -> None:
    found = content_of(synthetic.found(list(synthetic.answers(4))))
    chart = bar_chart(found, "mgsm", synthetic.TITLES)
    edges = [bar.left for bar in chart.bars]
    assert len(chart.bars) == 9 * 11
    assert [group.code for group in chart.groups] == [*synthetic.STUDY, "all"]
    assert edges == sorted(set(edges)), "none covers another"
    assert chart.divider is not None and edges[89] < chart.divider < edges[90]
    full = chart.y.ticks[-1]
    for bar in chart.bars:
        assert (280 - chart.y(bar.value)) / (280 - chart.y(full)) * full == pytest.approx(bar.value, abs=0.3)
        assert chart.y(bar.high) <= chart.y(bar.value) <= chart.y(bar.low) <= 280
    gaps = gap_chart(found, "mgsm", synthetic.TITLES)
    assert [gap.system.slot for gap in gaps] == list(range(9))
    assert all(216 <= gap_scale(gaps)(gap.others) <= 700 for gap in gaps)


def test_charts_of_the_page_say_their_figures_in_words(whole: str) -> None:
    said = {text for inside, text in Reader(whole).texts if inside == "title"}
    chart = bar_chart(content_of(synthetic.found(list(synthetic.answers(4)))), "mgsm", synthetic.TITLES)
    for bar in chart.bars:
        assert f"{bar.system.name}, {bar.group.name}: {bar.value:.1f}% ({bar.low:.1f} to {bar.high:.1f})" in said
    assert any(
        text.startswith("QAlign (monolingual), QAlign (mixed): loss ") and text.endswith(" 600 steps") for text in said
    )


def test_intervals_are_of_the_standard_error() -> None:
    counts = {"n": 100, "correct": 1, "wrong": 99, "unanswered": 0, "cut_off": 0}
    score = msgspec.convert({"accuracy": {"strict": 1.0}, "standard_error": {"strict": 1.0}, **counts}, Score)
    assert interval(score, 100) == pytest.approx((0.176, 5.485), abs=0.001)
    score = msgspec.convert({"accuracy": {"strict": 0.0}, "standard_error": {"strict": 0.0}, **counts}, Score)
    assert interval(score, 10) == pytest.approx((0.0, 27.75), abs=0.01)


def test_differences_of_a_table_share_an_axis() -> None:
    base = synthetic.found(list(synthetic.answers(2)))
    rows = [{**base["comparisons"][0], "group": "en", "difference": 5, "low": 0, "high": 10},
            {**base["comparisons"][1], "group": "en", "difference": -5, "low": -20, "high": 10}]  # fmt: skip
    (table,) = (t for t in tables({**base, "comparisons": rows}, Titles()) if t.section == "comparisons")
    one, two = (row[table.columns.index("95% interval")].drawing for row in table.rows)  # type: ignore[attr-defined]
    assert (one.low, one.at, one.high) == (0, 0.25, 0.5)
    assert (two.low, two.at, two.high) == (-1, -0.25, 0.5)


def test_a_shared_stage_is_one_curve() -> None:
    charts = loss_charts(content_of({}), curves_of(synthetic.curves()), Titles())
    assert [chart.title for chart in charts] == ["Question alignment", "Response alignment"], "in the order of training"
    assert charts[0].lines[0].label == "qalign-mono, qalign-mixed"
    assert [len(chart.lines) for chart in charts] == [5, 9]


def test_smoothing_keeps_a_line_and_quiets_noise() -> None:
    line = [(float(step), 3.0 - 0.01 * step) for step in range(200)]
    assert smoothed(line)[:190] == [(step, pytest.approx(loss)) for step, loss in line[:190]]
    noise = [(float(step), float(step % 2)) for step in range(400)]
    assert max(abs(loss - 0.5) for _, loss in smoothed(noise)[50:]) < 0.12
    assert smoothed([(1.0, 2.0)]) == [(1.0, 2.0)]


def test_thinning_keeps_spikes_and_order() -> None:
    points = [(float(step), 9.0 if step == 777 else 1.0) for step in range(2000)]
    scale = round_scale(0, 2000, 0, 2000)
    drawn = [tuple(map(float, place.split())) for place in path(points, scale, scale)[1:].split("L")]
    assert len(drawn) <= 550
    assert (777.0, 9.0) in drawn
    assert drawn == sorted(drawn)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 97, [0, 20, 40, 60, 80, 100]),
        (0, 3.4, [0, 1, 2, 3, 4]),
        (0, 0.03, [0, 0.01, 0.02, 0.03]),
        (-1, 2, [-1, 0, 1, 2]),
    ],
)
def test_ticks_are_round_and_cover(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == ticks


def test_ticks_of_one_value_are_two() -> None:
    assert len(nice_ticks(0, 0)) >= 1
    made = nice_ticks(3, 3)
    assert made[0] <= 3 <= made[-1]
