"""Tables at every width of a terminal: all figures in full, no line too long, words wrapped."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
import synthetic
from rich.cells import cell_len
from rich.console import Console
from typed import results_of, tables

from qalign.results.tables import Table, is_figure


def drawn(made: Sequence[Table], width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, color_system=None)
    for table in made:
        console.print(table, "")
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def figures(texts: Sequence[str]) -> Counter[str]:
    """All numbers in some texts, as they stand between spaces."""
    words = (word.strip("().,;:%") for text in texts for word in text.split())
    return Counter(word for word in words if is_figure(word) and any(character.isdigit() for character in word))


def in_cells(made: Sequence[Table]) -> Counter[str]:
    return figures([cell for table in made for row in table.rows for cell in row])


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 240])
def test_every_figure_is_there_in_full_at_every_width(width: int) -> None:
    made = tables(synthetic.found(), synthetic.TITLES)
    lines = drawn(made, width)
    assert max(map(cell_len, lines)) <= width
    assert "…" not in "".join(lines)
    assert in_cells(made) <= figures(lines)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_figure_stands_under_the_head_of_its_column(width: int) -> None:
    table = Table(
        "t", ["system", "languages seen", "n"], [["a model of many words " * 3, "1,234,567.8 ± 0.25", "-12.5"]]
    )
    lines = drawn([table], width)
    (row,) = [line for line in lines if "1,234,567.8 ± 0.25" in line]
    assert row.split()[-1] == "-12.5"


def test_a_run_ends_with_english_the_others_and_the_average_where_it_is_narrow() -> None:
    found = {**synthetic.found(), "claims": []}
    (wide,) = results_of(found, synthetic.TITLES).last_tables()
    assert wide.columns[:4] == ["system", "benchmark", "bn", "th"]
    lines = drawn([wide], 80)
    heads = [line.split() for line in lines if line.startswith("system")]
    assert heads == [["system", "benchmark", "English", "non-English", "average", "±", "s.e."]]
    (summary,) = wide.narrow
    assert in_cells([summary]) <= figures(lines)
    assert any("th" in line.split() for line in drawn([wide], 240)), "a wide terminal shows each language"


def test_languages_are_rows_where_they_do_not_fit_as_columns() -> None:
    lines = drawn(tables(synthetic.found(), synthetic.TITLES)[:1], 80)
    assert sum(line.startswith("Swahili ") for line in lines) == 2 * 2, "nine systems take two parts for each benchmark"


def test_parts_repeat_what_a_row_is_about() -> None:
    table = Table(
        "t", ["system", *"abcdefgh"], [["first", *["1,000,000.0"] * 8], ["second", *["-2,000,000.0"] * 8]], "note"
    )
    lines = drawn([table], 60)
    assert sum(line.startswith("first") for line in lines) == sum(line.startswith("second") for line in lines) > 1
    assert sum("note" in line for line in lines) == 1


def test_one_figure_that_does_not_fit_is_a_line() -> None:
    table = Table("t", ["a long name", "loss"], [["some system", "1,000,000.25"]])
    assert "loss: 1,000,000.25" in drawn([table], 20)


def test_a_hash_stays_with_its_name() -> None:
    name, after = "run-937dfdb6-5a50", "train-response-alignment-ab1577ff"
    text = "\n".join(drawn([Table("t", ["run", "systems", "n"], [[name, after, "1"]])], 46))
    assert name in text, "it can be copied"
    assert "alignment-ab1577ff" in text and after not in text


@pytest.mark.parametrize("width", [80, 120])
def test_names_break_behind_hyphens_and_slashes(width: int) -> None:
    name = "organisation/a-model-with-a-name-of-many-parts-and-more-than-eighty-characters-in-all"
    lines = drawn([Table("t", ["hub", "size"], [[name, "7B"], ["本" * 50, "1"]])], width)
    assert max(map(cell_len, lines)) <= width
    rows = [line.split("   ")[0].strip() for line in lines[3:]]
    assert "".join(rows).startswith(name), "nothing of it is lost"


def test_the_narrow_tables_are_no_part_of_files() -> None:
    table = tables(synthetic.found(), synthetic.TITLES)[0]
    assert table.markdown() == replace(table, narrow=()).markdown()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("0.0 (0.0 to 27.8)", True), ("-12.5", True), ("45.0 ± 2.1", True), ("< 0.001", True), ("8.357 -> 8.310", True),
        ("~1.6M", True), ("837.4 MiB", True), ("3.5 h", True), ("-", False), ("unknown", False), ("7B model", False),
        ("12 dropped", False), ("bn th", False), ("", False),
    ],
)  # fmt: skip
def test_a_figure_is_a_number_with_its_signs_and_unit(cell: str, expected: bool) -> None:
    assert is_figure(cell) is expected


def test_a_column_of_figures_is_set_right_though_one_is_not_known() -> None:
    lines = drawn([Table("t", ["stage", "memory"], [["a", "837.4 MiB"], ["b", "unknown"], ["c", "7.3 MiB"]])], 80)
    assert {len(line.rstrip()) for line in lines[-5:-2]} == {len(lines[-3].rstrip())}
