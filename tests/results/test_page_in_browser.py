"""The page as a person meets it: opened from disk in Chromium, by mouse and keyboard, in light and dark, on a phone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import synthetic
from typed import results_of
from visits import Visit

from qalign.results.page import write_page

HOSTILE = "<script>document.title = 'taken over'</script></td></table>{{ 7 * 7 }}<img src=x onerror=alert(1)> \u2028 42"
PROBLEMS = 40


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of results."""
    given = list(synthetic.answers(PROBLEMS))
    first = given[synthetic.STUDY.index("en")]
    first["answers"]["sft"] = {
        "text": HOSTILE, "value": "42", "start": HOSTILE.index("42"), "end": HOSTILE.index("42") + 2, "outcome": "wrong",
        "right": {"strict": False, "paper": True}, "answered_in": "en",
    }  # fmt: skip
    path = tmp_path_factory.mktemp("page") / "index.html"
    write_page(results_of(synthetic.found(given), synthetic.TITLES, synthetic.curves(), given), path)
    return path


def test_it_opens_from_disk_and_shows_every_section(visit: Any) -> None:
    page = visit().page
    for section in ("top", "claims", "results", "by-language", "consistency", "comparisons", "training", "explorer"):
        assert page.locator(f"#{section}").is_visible()
    assert page.locator("#by-language svg.bars rect").count() == 2 * 9 * 11
    assert page.evaluate("getComputedStyle(document.querySelector('.h20, .h10, .h5, .h4')).backgroundColor") not in (
        "rgba(0, 0, 0, 0)", "",
    )  # fmt: skip


def test_problems_are_filtered_by_each_of_the_filters(visit: Any) -> None:
    one = visit()
    page = one.page
    assert one.count() == (2 * PROBLEMS, 2 * PROBLEMS)
    page.select_option("#f-benchmark", "mgsm")
    assert one.count() == (PROBLEMS, 2 * PROBLEMS)
    page.select_option("#f-outcome", "cut_off")
    anywhere = one.count()[0]
    page.select_option("#f-system", "sft")
    of_sft = one.count()[0]
    page.select_option("#f-language", "bn")
    in_bengali = one.count()[0]
    assert PROBLEMS >= anywhere >= of_sft >= in_bengali
    wanted = {
        entry["id"]
        for entry in synthetic.answers(PROBLEMS)
        if (entry["benchmark"], entry["language"], entry["answers"]["sft"]["outcome"]) == ("mgsm", "bn", "cut_off")
    }
    assert in_bengali == len(wanted)
    listed = page.locator(".item .item-head span:first-child").all_inner_texts()
    assert {text.split()[-1] for text in listed} == wanted
    page.click("button[type=reset]")
    one.until("document.getElementById('count').textContent.startsWith('80 ')")
    assert page.locator(".item").count() == 60
    page.click("#more")
    assert page.locator(".item").count() == 80
    assert page.locator("#more").is_hidden()


def test_words_are_searched_in_questions_and_answers(visit: Any) -> None:
    one = visit()
    one.page.fill("#f-query", "ONERROR=alert")
    one.until("document.getElementById('count').textContent.startsWith('1 problem ')")
    one.page.fill("#f-query", "リンゴは全部で")
    one.until("document.getElementById('count').textContent.startsWith('0 problems')")
    one.page.fill("#f-query", "りんごは全部で")
    one.until("document.getElementById('count').textContent.startsWith('80 problems')")


def test_a_problem_is_opened_moved_from_and_closed_by_keyboard(visit: Any) -> None:
    one = visit()
    page = one.page
    page.focus("#f-query")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    assert page.evaluate("[...document.querySelectorAll('.item')].indexOf(document.activeElement)") == 1
    page.keyboard.press("Enter")
    assert page.inner_text("#detail h3") == "mGSM, problem 2"
    assert "in=mgsm&problem=2" in page.url
    page.keyboard.press("j")
    assert page.inner_text("#detail h3") == "mGSM, problem 3"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#detail h3") == "mGSM, problem 4"
    page.keyboard.press("k")
    page.keyboard.press("Escape")
    assert page.locator("#detail h3").count() == 0
    assert page.evaluate("[...document.querySelectorAll('.item')].indexOf(document.activeElement)") == 2
    assert "problem=" not in page.url
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "f-query"


def test_all_can_be_reached_with_the_tab_key_and_focus_shows(visit: Any) -> None:
    page = visit().page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.focus("#f-system")
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_what_a_model_wrote_is_text(visit: Any) -> None:
    one = visit("#in=mgsm&problem=1&language=en&system=sft")
    page = one.page
    answer = page.locator('[data-language] [data-place="0"]').first
    assert answer.locator(".text-of").inner_text().replace("\u2028", " ").split() == HOSTILE.split()
    assert answer.locator("mark").inner_text() == "42"
    assert "right under the paper rule" in answer.inner_text()
    assert page.locator("#detail script, #detail img").count() == 0
    assert page.title().startswith("QAlign report")


def test_an_answer_in_another_language_is_said(visit: Any) -> None:
    page = visit("#in=mgsm&problem=1&language=bn&system=qalign-mono").page
    cards = page.locator("#detail details[open] .answer").all()
    said = ["answered in English" in card.inner_text() for card in cards]
    assert said == [name == "qalign-mono" for name in synthetic.SYSTEMS]
    table = page.locator("#results table.listed").nth(1)
    assert table.locator("tbody tr").count() == len(synthetic.SYSTEMS)
    shown = table.locator("tbody tr").nth(synthetic.SYSTEMS.index("qalign-mono")).locator("td").nth(10).inner_text()
    row = synthetic.found(list(synthetic.answers(PROBLEMS)))["systems"]["qalign-mono"]["mgsm"]["average"]
    assert shown == f"{row['in_language']:.1f}" and float(shown) < 70


def test_an_answer_shows_what_was_read_and_its_outcome_in_words(visit: Any) -> None:
    page = visit("#in=mgsm&problem=2&language=th").page
    entry = next(
        e for e in synthetic.answers(PROBLEMS) if (e["benchmark"], e["id"], e["language"]) == ("mgsm", "2", "th")
    )
    words = {"correct": "right", "wrong": "wrong", "unanswered": "no answer", "cut_off": "truncated"}
    cards = page.locator("details[open] .answer")
    assert cards.count() == 9
    assert page.inner_text("details[open] .question") == entry["question"]
    assert page.get_attribute("details[open] .question", "lang") == "th"
    for place, name in enumerate(synthetic.SYSTEMS):
        answer, card = entry["answers"][name], cards.nth(place)
        assert words[answer["outcome"]] in card.locator(".badge").inner_text()
        assert f"gold {entry['gold']}" in card.locator(".read").inner_text()
        if answer["value"] is not None:
            assert card.locator("mark").inner_text() == answer["text"][answer["start"] : answer["end"]]
        else:
            assert card.locator("mark").count() == 0
        tag = "en" if answer["text"].isascii() else "th"
        assert card.locator(".text-of").get_attribute("lang") == tag
    page.locator(".matrix tbody tr").nth(3).locator(".cell").nth(0).click()
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused.startswith("QAlign (monolingual), Bengali: ")


def test_the_address_brings_back_what_was_shown(visit: Any) -> None:
    one = visit()
    page = one.page
    page.select_option("#f-language", "zh")
    page.select_option("#f-outcome", "wrong")
    page.fill("#f-query", "苹果")
    one.until("location.hash.includes('query=')")
    page.locator(".item").nth(3).click()
    title, count = page.inner_text("#detail h3"), one.count()
    again = visit(page.evaluate("location.hash"))
    assert again.page.inner_text("#detail h3") == title
    assert again.count() == count
    assert again.page.input_value("#f-query") == "苹果"
    page.go_back()
    one.until("!document.querySelector('#detail h3')")
    visit("#language=xx&system=gone&in=nothing&problem=<b>")


def test_dark_and_light_follow_the_system_and_the_button(visit: Any) -> None:
    def ground(page: Any) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light, dark = visit(color_scheme="light").page, visit(color_scheme="dark").page
    assert ground(light) == "rgb(255, 255, 255)"
    assert ground(dark) == "rgb(20, 23, 28)"
    for page, after in ((light, ground(dark)), (dark, ground(light))):
        page.click("#theme")
        assert ground(page) == after
    assert light.get_attribute("#theme", "aria-pressed") == "true"
    light.reload()
    assert ground(light) == "rgb(20, 23, 28)", "it is remembered"


def column(table: Any, number: int) -> list[str]:
    """The figures of a column, from top to bottom, without their intervals."""
    cells = [row.locator("th, td").nth(number) for row in table.locator("tbody tr").all()]
    return [(cell.inner_text().split("\n") or [""])[0].strip() for cell in cells]


def test_a_table_is_sorted_by_mouse_and_keyboard(visit: Any) -> None:
    page = visit().page
    table = page.locator("#results table.listed").first
    before = column(table, 0)
    head = table.locator("thead th").nth(1)
    for press, order in (("click", "descending"), ("Enter", "ascending"), ("Space", None)):
        button = head.get_by_role("button")
        button.click() if press == "click" else button.press(press)
        assert head.get_attribute("aria-sort") == order
        figures = [float(text) for text in column(table, 1)]
        if order:
            assert figures == sorted(figures, reverse=order == "descending")
    assert column(table, 0) == before, "the order of the study is back"
    table.locator("thead th").nth(0).get_by_role("button").click()
    assert column(table, 0) == sorted(before, key=str.lower)
    table.locator("thead th").nth(2).get_by_role("button").click()
    assert table.locator("[aria-sort]").count() == 1, "one column at a time"


def test_what_was_not_measured_comes_last_and_small_p_first(visit: Any) -> None:
    page = visit().page
    published = page.locator("#results table.listed").first
    place = [text.split()[0] for text in published.locator("thead th").all_inner_texts()].index("Published")
    for order in ("descending", "ascending"):
        published.locator("thead th").nth(place).get_by_role("button").click()
        figures = column(published, place)
        assert published.locator("thead th").nth(place).get_attribute("aria-sort") == order
        assert figures[4:] == ["–"] * 5 and figures[:4] == sorted(figures[:4], reverse=order == "descending")
    compared = page.locator("#comparisons table").first
    compared.locator("thead th").last.get_by_role("button").click(click_count=2)
    values = [0.0005 if "<" in text else float(text) for text in column(compared, 4)]
    assert values == sorted(values) and values[0] < values[-1]


def copied(page: Any, button: Any) -> str:
    """What a button copies, read from the clipboard."""
    button = button.element_handle()  # its name changes
    button.click()
    until = time.monotonic() + 5
    while button.inner_text() != "Copied":
        assert time.monotonic() < until, button.inner_text()
        page.wait_for_timeout(20)
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_a_table_is_copied_as_text(visit: Any, page_path: Path) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"]).page
    table = page.locator("#results table.listed").first
    bar = page.locator("#results .copy").first
    rows = [line.split("\t") for line in copied(page, bar.get_by_role("button", name="Copy table")).splitlines()]
    assert rows[0][:2] == ["System", "Bengali (bn)"] and rows[0][11:13] == ["Average ± s.e.", "Non-English"]
    assert rows[0][-2:] == ["Published 7B", "Published 13B"]
    assert [row[1] for row in rows[1:]] == column(table, 1)
    lines = copied(page, bar.get_by_role("button", name="Copy as Markdown")).splitlines()
    assert lines[1].startswith("|---|---:|") and len(lines) == 11
    assert lines[1].count("|") == lines[2].count("|") == len(rows[0]) + 1
    shown = page.locator("#comparisons .copy").first
    heads = copied(page, shown.get_by_role("button", name="Copy table")).splitlines()[0].split("\t")
    assert heads == ["Difference", "Languages", "Points", "95% interval", "p"]


def test_a_copied_table_holds_no_formula_and_no_markup(browser: Any, tmp_path: Path) -> None:
    given = synthetic.found(list(synthetic.answers(2)))
    titles = synthetic.Titles({"sft": "=HYPERLINK(1)", "monoreason": "a|b *c*\td", "multireason": "-1 +cmd"})
    write_page(results_of(given, titles), tmp_path / "index.html")
    one = Visit(browser, tmp_path / "index.html", permissions=["clipboard-read", "clipboard-write"])
    bar = one.page.locator("#results .copy").first
    names = [
        line.split("\t")[0] for line in copied(one.page, bar.get_by_role("button", name="Copy table")).splitlines()
    ]
    assert names[1:4] == ["'=HYPERLINK(1)", "a|b *c* d", "'-1 +cmd"]
    text = copied(one.page, bar.get_by_role("button", name="Copy as Markdown"))
    assert r"a\|b \*c\* d" in text
    assert one.faults == []
    one.context.close()


def test_one_problem_has_a_link(visit: Any) -> None:
    page = visit("#language=bn&outcome=wrong", permissions=["clipboard-read", "clipboard-write"]).page
    page.locator(".item").nth(2).click()
    title = page.inner_text("#detail h3")
    link = copied(page, page.get_by_role("button", name="Copy link"))
    assert "language" not in link, "the problem, whatever filters are set"
    again = visit(f"#{link.partition('#')[2]}").page
    assert again.inner_text("#detail h3") == title
    number = again.evaluate("new URLSearchParams(location.hash.slice(1)).get('problem')")
    alone = visit(f"#problem={number}").page
    assert alone.inner_text("#detail h3").endswith(f"problem {number}")


def test_languages_are_shown_by_name_and_code(visit: Any) -> None:
    page = visit("#in=mgsm&problem=2").page
    assert "Bengali\nbn" in page.locator("#results thead").first.inner_text()
    assert "Bengali (bn)" in page.locator("#top .facts").inner_text()
    for place in ("#consistency .heat thead", "#consistency .heat tbody", "#detail .matrix thead", "#detail .language"):
        assert "Bengali (bn)" in page.locator(place).first.inner_text(), place
    assert "Bengali (bn)" in page.locator("#f-language option").all_inner_texts()
    assert "Bengali" in page.locator("svg.bars text.group").all_text_contents()


def test_it_prints_without_controls_and_with_what_is_folded(visit: Any) -> None:
    page = visit("#in=mgsm&problem=2", color_scheme="dark").page
    folded = page.locator("#comparisons details:not([open])").count()
    assert folded > 0
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for hidden in (".bar", ".copy .copies", "#filters", ".list-pane", ".legend"):
        assert not page.locator(hidden).first.is_visible(), hidden
    assert page.locator("#detail h3").is_visible(), "the problem that is open is printed"
    assert page.locator("#comparisons details:not([open])").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#comparisons details:not([open])").count() == folded
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Close").click()
    page.emulate_media(media="print")
    assert not page.locator("#explorer").is_visible()


def test_a_system_is_shown_alone(visit: Any) -> None:
    page = visit().page
    button = page.locator("#by-language .legend button").nth(4)
    button.click()
    assert page.locator("#by-language .focused .mark-of.lit").count() == 11
    button.click()
    assert page.locator("#by-language .focused").count() == 0


def test_the_cells_of_the_heat_map_switch(visit: Any) -> None:
    page = visit().page
    assert page.locator(".m-agree").first.is_visible()
    page.locator('#consistency input[value="correct"]').first.check()
    assert page.locator(".m-correct").first.is_visible()
    assert not page.locator(".m-agree").first.is_visible()


def test_on_a_phone_the_page_scrolls_down_only(visit: Any) -> None:
    page = visit(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True).page

    def widths() -> list[int]:
        return list(page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]"))

    assert widths() == [360, 360, 360]
    for details in page.locator("main details").all():
        details.evaluate("element => { element.open = true; }")
    page.locator(".item").nth(1).click()
    assert page.locator("#list").is_hidden(), "one thing at a time"
    page.get_by_role("button", name="Open all languages").click()
    assert widths() == [360, 360, 360]
    page.get_by_role("button", name="Close").click()
    assert page.locator("#list").is_visible()


def test_without_script_tables_and_charts_are_there(browser: Any, page_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_path.as_uri())
    assert page.locator("#results table.listed").first.is_visible()
    assert page.locator("svg.bars").first.is_visible()
    assert page.locator("noscript").first.is_visible()
    assert page.locator("#filters").is_hidden()
    context.close()


def test_thirty_six_thousand_answers_stay_quick(browser: Any, tmp_path: Path) -> None:
    given = list(synthetic.answers(200))
    path = tmp_path / "large.html"
    found = synthetic.found([entry for entry in given if int(entry["id"]) <= 20])
    write_page(results_of(found, synthetic.TITLES, synthetic.curves(), given), path)
    one = Visit(browser, path)
    took = one.page.evaluate(
        """() => {
            const start = performance.now();
            for (const value of ["wrong", "cut_off", ""]) {
                const select = document.getElementById("f-outcome");
                select.value = value;
                select.dispatchEvent(new Event("change"));
            }
            return performance.now() - start;
        }"""
    )
    assert one.count() == (400, 400)
    assert one.page.locator(".item").count() == 60, "the list is not drawn whole"
    assert took < 3000, "three filters; a tenth of it on an idle machine"
    assert one.faults == []
    one.context.close()
