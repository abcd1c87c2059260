"""Figures: each is written, the same results give the same bytes, and names are taken as they are."""

from __future__ import annotations

import warnings
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib", reason="figures need matplotlib: pip install 'qalign[report]'")

import synthetic
from typed import content_of, curves_of, results_of

from qalign.results.charts import bar_chart, heat_maps, loss_charts
from qalign.results.figures import bars, heat_map, losses, printable, write_figures
from qalign.results.titles import Titles

HOSTILE = "_$x_1$ \\frac{a}{b} <b>&amp;\n\x1b[31m"


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    made = synthetic.found(list(synthetic.answers(3)))
    made["systems"] = {name: made["systems"][name] for name in ("sft", "qalign-mono")}
    return made


def short_curves() -> dict[str, list[dict[str, object]]]:
    made = synthetic.curves()
    return {
        name: [{**stage, "points": stage["points"][:40]} for stage in made[name]] for name in ("sft", "qalign-mono")
    }


def test_every_figure_is_written_and_the_same_twice(found: dict[str, object], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = write_figures(results_of(found, synthetic.TITLES, short_curves()), tmp_path / "one")
        two = write_figures(results_of(found, synthetic.TITLES, short_curves()), tmp_path / "two")
    names = ["accuracy-mgsm", "consistency-mgsm", "accuracy-msvamp", "consistency-msvamp", "losses"]
    assert [path.name for path in one] == [f"{name}.{kind}" for name in names for kind in ("png", "svg")]
    assert sorted(one) == sorted((tmp_path / "one").iterdir()), "and nothing else"
    for first, second in zip(one, two, strict=True):
        assert first.read_bytes() == second.read_bytes()
        if first.suffix == ".svg":
            ElementTree.parse(first)
            assert "<dc:date>" not in first.read_text()
        else:
            assert first.read_bytes().startswith(b"\x89PNG")


def test_what_was_not_measured_makes_no_figure(tmp_path: Path) -> None:
    found = synthetic.found(list(synthetic.answers(1)))
    bare = {
        **{key: found[key] for key in ("run", "trained_on", "published")},
        "systems": {"sft": found["systems"]["sft"]},
    }
    files = write_figures(results_of(bare), tmp_path)
    assert [path.name for path in files] == [
        f"accuracy-{b}.{kind}" for b in ("mgsm", "msvamp") for kind in ("png", "svg")
    ]


def test_names_are_no_formulas_and_no_paths(tmp_path: Path) -> None:
    scores = synthetic.found(list(synthetic.answers(1)))["systems"]["sft"]["mgsm"]
    name = "../" + HOSTILE
    other = "..-" + HOSTILE
    found = {"run": {}, "trained_on": {}, "published": {}, "systems": {HOSTILE: {name: scores, other: scores}}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curves = {HOSTILE: [{"stage": HOSTILE, "folder": "f", "points": [[1, 2.0]]}]}
        files = write_figures(results_of(found, curves=curves), tmp_path)
    assert len({path.name for path in files}) == 6, "two benchmarks and the losses"
    assert {path.parent for path in files} == {tmp_path}
    figure = bars(bar_chart(content_of(found), name, Titles()))
    texts = {text.get_text() for text in figure.legends[0].get_texts()}
    assert texts == {"_$x_1$ \\frac{a}{b} <b>&amp; [31m"}
    assert not any(text.get_parse_math() for text in figure.legends[0].get_texts())
    assert not figure.axes[0]._left_title.get_parse_math()


def test_a_character_that_the_font_lacks_is_written_as_its_code() -> None:
    assert printable("mGSM \U0001f9ff Žluťoučký") == "mGSM <U+1F9FF> Žluťoučký"
    assert printable("x" * 99) == "x" * 59 + "…"


def test_bars_have_the_height_of_the_accuracies(found: dict[str, object]) -> None:
    axes = bars(bar_chart(content_of(found), "mgsm", synthetic.TITLES)).axes[0]
    heights = [bar.get_height() for container in axes.containers if hasattr(container, "patches") for bar in container]  # type: ignore[union-attr]
    rows = found["systems"]["sft"]["mgsm"]  # type: ignore[index]
    assert heights[:11] == [rows[code]["accuracy"]["strict"] for code in (*synthetic.STUDY, "average")]
    assert [label.get_text().split("\n")[0] for label in axes.get_xticklabels()] == [*synthetic.STUDY, "all"]


def test_the_matrix_is_in_the_order_of_the_study(found: dict[str, object]) -> None:
    row = found["consistency"]["sft"]["mgsm"]  # type: ignore[index]
    order = [9, *range(9)]
    turned = {
        **row, "languages": [row["languages"][i] for i in order],
        "matrix": [[row["matrix"][i][j] for j in order] for i in order],
    }  # fmt: skip
    consistency = {**found["consistency"], "sft": {"mgsm": turned}}  # type: ignore[dict-item]
    maps = heat_maps(content_of({**found, "consistency": consistency}), "mgsm", Titles())
    assert (maps[0].languages, maps[0].same) == (row["languages"], row["matrix"])
    assert len(heat_map("mGSM", maps).axes) == 3, "two systems and the scale"


def test_losses_have_a_panel_a_stage_and_two_lines_a_curve(found: dict[str, object]) -> None:
    panels = losses(loss_charts(content_of(found), curves_of(short_curves()), Titles())).axes
    assert [len(axes.lines) for axes in panels] == [2, 4]


def test_the_global_state_of_matplotlib_is_left_alone(found: dict[str, object], tmp_path: Path) -> None:
    import sys

    import matplotlib

    def settings() -> dict[str, object]:
        return {
            name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"
        }  # to ask is to choose

    before = settings()
    write_figures(results_of({**found, "systems": {}}, curves=short_curves()), tmp_path)
    assert settings() == before
    assert "matplotlib.pyplot" not in sys.modules
