"""Figures for a paper: accuracy by language, consistency between languages, loss curves, as PNG and SVG.

Made with matplotlib's object interface alone: no window, no global figure. The same results give the same bytes. Names are
taken literally: `$` starts no formula. DejaVu Sans, which matplotlib ships, covers codes and English names. A character
that it lacks is written as its code, such as <U+1F600>; the page shows it as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..records import atomic_file
from .charts import PALETTE, BarChart, HeatMap, LossChart, bar_chart, heat_maps, loss_charts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

    from .run_results import Results

FONT = "DejaVu Sans"
DOTS_PER_INCH = 150
LONGEST_NAME = 60
INK, SOFT, FAINT = "#1a1d23", "#565d69", "#dde1e7"
HEAT = ("#f4f6fb", "#b7c3ea", "#7087cf", "#1d3a9e")
"""From nothing to all in one hue, evenly darker, so that grey print and every eye keep the order."""
DARK_FROM = 62
"""The percent from which figures on it are white."""
HATCHES = ("", "///", "...", "xxx")
"""By round of the palette: the tenth system has the first one's colour, hatched."""

_SETTINGS: dict[RcKeyType, object] = {
    "font.family": [FONT], "font.size": 9.0, "text.parse_math": False, "svg.hashsalt": "qalign", "svg.fonttype": "path",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT,
    "xtick.color": SOFT, "ytick.color": SOFT, "text.color": INK, "hatch.linewidth": 0.6, "axes.unicode_minus": True,
}  # fmt: skip


def write_figures(results: Results, folder: Path) -> list[Path]:
    """Writes every figure that the results allow as PNG and SVG; returns the files."""
    import matplotlib

    content, titles = results.data, results.titles
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever a matplotlibrc says
        matplotlib.rcParams.update(_SETTINGS)
        for benchmark in content.benchmarks:
            written += _save(bars(bar_chart(content, benchmark, titles)), folder, f"accuracy-{benchmark}")
            if maps := heat_maps(content, benchmark, titles):
                written += _save(heat_map(titles.benchmark(benchmark), maps), folder, f"consistency-{benchmark}")
        if charts := loss_charts(content, results.curves, titles):
            written += _save(losses(charts), folder, "losses")
    return written


def bars(chart: BarChart) -> Figure:
    """Accuracy by language: a group a language and one for the average, a bar a system, with its interval."""
    from matplotlib.figure import Figure

    places = {group: place for place, group in enumerate(chart.groups)}
    width = 0.84 / len(chart.systems)
    figure = Figure(figsize=(max(6.0, 1.0 + 0.85 * len(places)), 4.2), layout="constrained")
    axes = figure.subplots()
    for place, system in enumerate(chart.systems):
        own = [bar for bar in chart.bars if bar.system is system]
        axes.bar(
            [places[bar.group] + (place - (len(chart.systems) - 1) / 2) * width for bar in own],
            [bar.value for bar in own],
            width * 0.94,
            yerr=[[bar.value - bar.low for bar in own], [bar.high - bar.value for bar in own]],
            error_kw={"elinewidth": 0.8, "ecolor": INK, "capsize": 1.5, "capthick": 0.8},
            **_fill(system.slot),
        )
    if chart.groups[-1].code == "all":
        axes.axvline(len(places) - 1.5, color=FAINT, linewidth=1, linestyle=(0, (3, 3)))
    labels = [f"{printable(group.code)}\n{printable(group.name)}" for group in chart.groups]
    axes.set_xticks(range(len(places)), labels, parse_math=False)
    axes.set_xlim(-0.55, len(places) - 0.45)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("accuracy, percent (95% intervals)")
    _grid(axes)
    _title(axes, chart.title)
    _legend(figure, [(system.name, system.slot) for system in chart.systems])
    return figure


def heat_map(title: str, maps: Sequence[HeatMap]) -> Figure:
    """How often each system gives the same answer in two languages: a matrix a system, all on one scale."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    columns = min(3, len(maps))
    lines = -(-len(maps) // columns)
    figure = Figure(figsize=(0.6 + 3.0 * columns, 0.6 + 3.0 * lines), layout="constrained")
    grid = list(figure.subplots(lines, columns, squeeze=False).flat)
    heat = LinearSegmentedColormap.from_list("qalign", HEAT).with_extremes(bad=FAINT)
    for axes in grid[len(maps) :]:
        axes.set_axis_off()
    for axes, one in zip(grid, maps, strict=False):
        shown = [[float("nan") if value is None else value for value in row] for row in one.same]
        image = axes.imshow(shown, vmin=0, vmax=100, cmap=heat)
        for i, row in enumerate(one.same):
            for j, value in enumerate(row):
                if value is not None:
                    color = "white" if value >= DARK_FROM else "black"
                    axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=6.5, color=color)
        codes = [printable(code) for code in one.languages]
        axes.set_xticks(range(len(codes)), codes, parse_math=False)
        axes.set_yticks(range(len(codes)), codes, parse_math=False)
        axes.tick_params(length=0, labelsize=7.5)
        axes.spines[:].set_visible(False)
        _title(axes, one.system.name, fontsize=9)
    bar = figure.colorbar(image, ax=grid, shrink=0.5, aspect=30, pad=0.01)
    bar.set_label("same answer, percent of problems")
    bar.outline.set_visible(False)
    figure.suptitle(printable(title), x=0.01, ha="left", fontweight="bold", parse_math=False)
    return figure


def losses(charts: Sequence[LossChart]) -> Figure:
    """Loss per supervised token over steps, a panel a kind of stage and a line a stage, smoothed over the faint raw line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.6 + 4.6 * len(charts), 3.6), layout="constrained")
    for axes, chart in zip(figure.subplots(1, len(charts), squeeze=False).flat, charts, strict=True):
        for line in chart.lines:
            color, dashes = PALETTE[line.slot % len(PALETTE)], "-" if line.slot < len(PALETTE) else "--"
            axes.plot(*zip(*line.points, strict=True), color=color, linewidth=0.6, alpha=0.3)
            axes.plot(*zip(*line.smooth, strict=True), color=color, linewidth=1.6, linestyle=dashes)
        _title(axes, chart.title)
        axes.set_xlabel("step")
        axes.set_ylabel("loss per supervised token")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        _grid(axes)
        _legend(axes, [(line.label, line.slot) for line in chart.lines])
    return figure


def _fill(slot: int) -> dict[str, Any]:
    """How the bars and patches of a system are drawn."""
    hatch = HATCHES[slot // len(PALETTE) % len(HATCHES)]
    return {"facecolor": PALETTE[slot % len(PALETTE)], "hatch": hatch, "edgecolor": INK, "linewidth": 0.4}


def _title(axes: Axes, text: str, **style: Any) -> None:
    axes.set_title(printable(text), loc="left", fontweight="bold", parse_math=False, **style)


def _grid(axes: Axes) -> None:
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)


def _legend(where: Figure | Axes, entries: Sequence[tuple[str, int]]) -> None:
    """A legend of patches. Names are set afterwards: a label that begins with "_" would be left out."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    handles = [Patch(**_fill(slot)) for _, slot in entries]
    labels = [str(number) for number in range(len(entries))]
    style: dict[str, Any] = {"loc": "upper right", "fontsize": 7}
    if isinstance(where, Figure):
        style = {"loc": "outside lower left", "fontsize": 8, "ncols": 3}
    legend = where.legend(handles, labels, frameon=False, **style)
    for text, (name, _) in zip(legend.get_texts(), entries, strict=True):
        text.set_parse_math(False)
        text.set_text(printable(name))


def _save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Both files, whole or not at all, without a date or a version in them."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    if safe != name:  # two names may become alike
        safe = f"{safe}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    files = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        path = folder / f"{safe}.{kind}"
        with atomic_file(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
        files.append(path)
    return files


def printable(name: str) -> str:
    """A name on one line, no longer than fits, of characters that the font has; others as their code."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    if len(line) > LONGEST_NAME:
        line = line[: LONGEST_NAME - 1] + "…"
    return "".join(c if ord(c) in _characters() else f"<U+{ord(c):04X}>" for c in line)


@cache
def _characters() -> frozenset[int]:
    """The codes of the characters that the font has."""
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont(FONT)).get_charmap())
