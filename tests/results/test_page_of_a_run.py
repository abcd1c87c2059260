"""The page that a real run writes: made by the command line, checked against the files of its stages, looked at in Chromium."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from reader import Reader
from scripted_run import BENCHMARKS, HOSTILE, LANGUAGES, PROBLEMS, SYSTEMS, Run, qalign, write_models

from qalign.languages import STUDY
from qalign.results.findings import p_value

NAMES = [f"my_systems:{name}" for name in SYSTEMS]
TITLES = {"world-mgsm": "World, in domain", "world-msvamp": "World, out of domain"}
OUTCOMES = ("correct", "wrong", "unanswered", "cut_off")
ODD_NAME = "model <i onclick=alert(1)>&{{7*7}}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished comparison of three systems. Not to be written to."""
    folder = tmp_path_factory.mktemp("run")
    write_models(folder)
    tests = [word for name in BENCHMARKS for word in ("--test", name)]
    done = qalign(folder, "run", *NAMES, *tests, "--test-languages", ",".join(LANGUAGES), "--output", "report")
    assert done.returncode == 0, done.stderr
    assert "report/index.html" in done.stdout
    return Run(folder)


@pytest.fixture(scope="module")
def page_path(run: Run) -> Path:
    return run.output / "index.html"


@pytest.fixture(scope="module")
def of_one_model(run: Run) -> Run:
    """The page of one model of an odd name, asked in English alone."""
    shutil.copytree(run.folder / "hostile", run.folder / ODD_NAME)
    done = qalign(run.folder, "eval", ODD_NAME, "--test", "world-mgsm", "--test-languages", "en", "--output", "alone")
    assert done.returncode == 0, done.stderr
    return Run(run.folder, "alone")


# --- the files --------------------------------------------------------------------------------------------------------


def test_results_hold_scores_statistics_and_findings(run: Run) -> None:
    found = run.results
    assert list(found["systems"]) == NAMES
    counted = Counter((system, name, one.language, one.outcome) for name, system, _, _, one in run.answers)
    for system, name, code, outcome in product(NAMES, BENCHMARKS, LANGUAGES, OUTCOMES):
        assert found["systems"][system][name][code][outcome] == counted[system, name, code, outcome]
    assert {outcome for *_, outcome in counted} == set(OUTCOMES), "the run has something of everything"
    for system, name in product(NAMES, BENCHMARKS):
        assert set(found["consistency"][system][name]["with_english"]) == set(LANGUAGES) - {"en"}
    compared = {(row["benchmark"], row["a"], row["b"], row["group"]) for row in found["comparisons"]}
    assert len(compared) == 2 * 3 * 8, "two benchmarks, three pairs; six languages and two averages"
    assert [sentence.rsplit(", 5 languages")[0] for sentence in found["findings"]] == [
        title for title in TITLES.values() for _ in NAMES[1:]
    ]
    assert found["notes"] == []


def test_figures_are_written_as_png_and_svg(run: Run) -> None:
    written = {path.name for path in (run.output / "figures").iterdir()}
    names = [f"{kind}-{name}" for kind in ("accuracy", "consistency") for name in BENCHMARKS]
    assert written == {f"{name}.{form}" for name in names for form in ("png", "svg")}
    for path in (run.output / "figures").iterdir():
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        else:
            assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_the_page_stands_alone(page_path: Path) -> None:
    read = Reader(page_path.read_text(encoding="utf-8"))
    assert [tag for tag, _ in read.tags].count("script") == 2
    assert not {tag for tag, _ in read.tags} & {"img", "iframe", "object", "embed"}
    given = [value for _, attributes in read.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all(value.startswith(("#", "data:")) for value in given)


def test_the_page_holds_every_answer_as_it_was_given(run: Run, page_path: Path) -> None:
    data = Reader(page_path.read_text(encoding="utf-8")).data()
    benchmarks, systems = ([name for name, *_ in data[key]] for key in ("benchmarks", "systems"))
    languages = [code for code, *_ in data["languages"]]
    held = {
        (benchmarks[benchmark], key, languages[language], system): (
            question,
            gold,
            text,
            value,
            OUTCOMES[outcome],
            others,
        )
        for benchmark, key, rows in data["problems"]
        for language, gold, question, answers in rows
        for system, (text, value, _, _, outcome, others, _) in zip(systems, answers, strict=True)
    }
    assert len(data["problems"]) == 2 * PROBLEMS
    assert held == {
        (name, one.id, one.language, system): (
            problem.question, one.gold, told.text, one.readings["strict"].value, one.outcome, [int(one.readings["paper"].right)]
        )
        for name, system, problem, told, one in run.answers
    }  # fmt: skip


def test_one_model_in_english_alone_has_nothing_to_be_compared_with(of_one_model: Run) -> None:
    found = of_one_model.results
    assert list(found["systems"]) == [ODD_NAME]
    assert (found["comparisons"], found["findings"], found["notes"]) == ([], [], [])
    assert found["consistency"][ODD_NAME]["world-mgsm"]["mean_with_english"] is None
    read = Reader((of_one_model.output / "index.html").read_text(encoding="utf-8"))
    assert ODD_NAME in read.text()
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)


# --- in Chromium ------------------------------------------------------------------------------------------------------


def figures(rows: Any) -> list[list[str]]:
    """The first word of each cell: the figure, without the interval below it."""
    return [[text.split()[0] for text in row.locator("td").all_inner_texts()] for row in rows.all()]


def test_it_opens_from_disk_with_the_sections_that_there_are(visit: Any, run: Run) -> None:
    page = visit().page
    for section in ("top", "results", "by-language", "consistency", "comparisons", "explorer"):
        assert page.locator(f"#{section}").is_visible()
    assert page.locator("#claims, .none").count() == 0, "no claim was tested"
    assert page.locator("#training h3, #training summary").all_inner_texts() == ["What was read"], "nothing was trained"
    assert page.inner_text("h1") == run.results["findings"][0]
    assert page.locator(".findings p").all_inner_texts() == run.results["findings"][1:]
    assert page.inner_text("#count") == "40 problems of 40, with 720 matching answers"


def test_the_tables_show_the_figures_of_the_results(visit: Any, run: Run) -> None:
    page, found, groups = visit().page, run.results, (*STUDY, "average", "non_english")
    groups = tuple(group for group in groups if group in (*LANGUAGES, "average", "non_english"))
    for place, name in enumerate(BENCHMARKS):
        scores = [found["systems"][system][name] for system in NAMES]
        shown = page.locator("#results table.listed").nth(2 * place)
        assert shown.locator("tbody th").all_inner_texts() == NAMES
        assert figures(shown.locator("tbody tr")) == [
            [f"{row[group]['accuracy']['strict']:.1f}" for group in groups]
            + [f"{row['average']['accuracy']['paper']:.1f}"]
            + [str(row["average"][outcome]) for outcome in OUTCOMES[1:]]
            for row in scores
        ]


def test_consistency_and_comparisons_are_those_of_the_results(visit: Any, run: Run) -> None:
    page, found = visit().page, run.results
    for place, name in enumerate(BENCHMARKS):
        agreement = [found["consistency"][system][name] for system in NAMES]
        shown = page.locator("#consistency table.listed")
        for table, key in ((shown.nth(2 * place), "agree"), (shown.nth(2 * place + 1), "agree_given_english_right")):
            table.evaluate("element => { element.closest('details')?.setAttribute('open', ''); }")
            means = [row[-1] for row in figures(table.locator("tbody tr"))]
            assert means == [f"{row['mean_with_english'][key]:.1f}" for row in agreement]
        for groups, title in ((("non_english", "en"), "Differences between systems"), (("bn",), "Bengali")):
            table = page.get_by_role("region", name=f"Table, {TITLES[name]}: {title}", include_hidden=True)
            rows = [r for r in found["comparisons"] if r["benchmark"] == name and r["group"] in groups]
            cells = [row.locator("th, td").all_text_contents() for row in table.locator("tbody tr").all()]
            words = [[" ".join(text.split()) for text in row] for row in cells]
            assert [row[0] for row in words] == [f"{row['a']} - {row['b']}" for row in rows]
            assert [row[2].partition("right")[0] for row in words] == [f"{row['difference']:+.1f}" for row in rows]
            assert [row[-1] for row in words] == [
                f"{p_value(row['p_adjusted'])}alone {p_value(row['p'])}" if row["low"] < row["high"] else "–"
                for row in rows
            ]
    assert page.locator("#consistency table.heat").count() == 2 * 3 * 2, "of the same answer, and of both right"
    assert page.locator("#comparisons details").count() == 2 * 6, "all languages, and each but English"


def test_filters_find_what_was_judged(visit: Any, run: Run) -> None:
    """Every language with every system and outcome, and each of them alone."""
    page = visit().page
    judged = [(name, system, one) for name, system, _, _, one in run.answers]
    for code in ("", *LANGUAGES):
        page.select_option("#f-language", code)
        for system in ("", *NAMES):
            page.select_option("#f-system", system)
            for outcome in ("", *OUTCOMES):
                page.select_option("#f-outcome", outcome)
                fitting = [
                    (name, one.id)
                    for name, of, one in judged
                    if code in ("", one.language) and system in ("", of) and outcome in ("", one.outcome)
                ]
                said = page.inner_text("#count").split()
                assert (int(said[0]), int(said[-3])) == (len(set(fitting)), len(fitting)), (code, system, outcome)
                assert page.locator(".item").count() == len(set(fitting))


def test_texts_are_searched(visit: Any, run: Run) -> None:
    one = visit()
    _, _, problem, _, _ = next(row for row in run.answers if row[2].language == "th")
    alike = {(name, p.id) for name, _, p, *_ in run.answers if problem.question in p.question}
    one.page.fill("#f-query", problem.question)
    one.until(f"document.getElementById('count').textContent.startsWith('{len(alike)} problem')")
    answered = {(name, p.id) for name, _, p, told, _ in run.answers if "document.title='hacked'" in told.text}
    one.page.fill("#f-query", "Document.title='hacked'")
    one.until(f"document.getElementById('count').textContent.startsWith('{len(answered)} problems of 40')")


def test_a_problem_is_opened_and_left_by_keyboard(visit: Any, run: Run) -> None:
    one = visit()
    page = one.page
    ids = list(dict.fromkeys(problem.id for name, _, problem, *_ in run.answers if name == "world-mgsm"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    assert page.inner_text("#detail h3") == f"World, in domain, problem {ids[1]}"
    page.keyboard.press("j")
    assert page.inner_text("#detail h3") == f"World, in domain, problem {ids[2]}"
    again = visit(page.evaluate("location.hash")).page
    assert again.inner_text("#detail h3") == f"World, in domain, problem {ids[2]}", "the address brings it back"
    page.keyboard.press("Escape")
    assert page.locator("#detail h3").count() == 0
    assert page.evaluate("document.activeElement.className") == "item"


def test_what_a_model_wrote_is_text(visit: Any, run: Run) -> None:
    """Each hostile answer in two languages: there to the letter, what was read marked, and nothing of it run."""
    page = visit().page
    title = page.title()
    written = [
        row
        for row in run.answers
        if row[:2] == ("world-mgsm", "my_systems:hostile") and row[2].language in ("en", "th")
    ]
    wanted = [row for code in ("en", "th") for row in [r for r in written if r[2].language == code][: len(HOSTILE)]]
    for _, _, problem, told, one in wanted:
        page.select_option("#f-language", problem.language)
        page.locator(".item").filter(has=page.get_by_text(f"World, in domain {problem.id}", exact=True)).click()
        card = page.locator('#detail details[open] [data-place="2"]')
        assert card.get_attribute("aria-label").startswith("my_systems:hostile, ")
        shown = card.locator(".text-of").text_content()
        assert shown == (told.text or "The answer is empty.")
        assert f"gold {problem.gold}" in card.locator(".read").inner_text()
        read = one.readings["strict"]
        if read.value is None:
            assert card.locator("mark").count() == 0
        else:
            assert card.locator("mark").text_content() == told.text[read.start : read.end] == problem.gold
        assert page.locator("#detail").locator("script, img, a, table table, b b").count() == 0
    assert page.title() == title != "hacked"


def test_the_page_of_one_model_opens_too(visit: Any, of_one_model: Run) -> None:
    one = visit(path=of_one_model.output / "index.html")
    assert one.count() == (PROBLEMS, PROBLEMS)
    assert one.page.locator("#comparisons").count() == 0
    assert one.page.locator("#results table.listed tbody th").all_inner_texts() == [ODD_NAME] * 2
    one.page.locator(".item").first.click()
    assert one.page.locator("#detail .answer").count() == 1
    assert one.page.inner_text("#detail .answer h4") == ODD_NAME
