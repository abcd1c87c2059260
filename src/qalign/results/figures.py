"""Figures for a paper: accuracy by language, consistency between languages, loss curves, as PNG and SVG.

Made with matplotlib's object interface alone: no window, no global figure. The same results give the same bytes. Names are
taken literally (`$` starts no formula). DejaVu Sans, which matplotlib ships, covers codes and English names; where a name
has other characters, an installed font that has them is used, and a character that no font has is written as its code,
such as <U+1F600>. Scripts that need shaping (Bengali, Thai) are legible but not as well set as in the page.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..evaluation.scores import AVERAGE
from ..records import atomic_file
from .accuracies import problems
from .titles import Titles
from .view import (
    PALETTE,
    Curves,
    accuracy,
    benchmarks_of,
    curves_by_stage,
    in_order,
    interval,
    languages_of,
    slots_of,
    smoothed,
    stage_name,
    systems_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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

_SETTINGS: Any = {
    "font.family": [FONT], "font.size": 9.0, "text.parse_math": False, "svg.hashsalt": "qalign", "svg.fonttype": "path",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT,
    "xtick.color": SOFT, "ytick.color": SOFT, "text.color": INK, "hatch.linewidth": 0.6, "axes.unicode_minus": True,
}  # fmt: skip


def write_figures(found: Mapping[str, Any], curves: Curves, folder: Path, titles: Titles | None = None) -> list[Path]:
    """Writes every figure that `results.json` and the curves allow as PNG and SVG; returns the files.

    `titles` are names for people of systems and benchmarks.
    """
    import matplotlib

    names = (titles or Titles()).with_arrows()
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever a matplotlibrc says
        matplotlib.rcParams.update(_SETTINGS)
        for benchmark in benchmarks_of(found):
            written += _save(bars(found, benchmark, names), folder, f"accuracy-{benchmark}")
            if any(_matrix(found, name, benchmark) for name in systems_of(found, benchmark)):
                written += _save(heat_map(found, benchmark, names), folder, f"consistency-{benchmark}")
        if curves_by_stage(curves):
            written += _save(losses(curves, found, names), folder, "losses")
    return written


def bars(found: Mapping[str, Any], benchmark: str, titles: Titles) -> Figure:
    """Accuracy by language: a group a language and one for the average, a bar a system, with its standard error."""
    from matplotlib.figure import Figure

    systems, slots = systems_of(found, benchmark), slots_of(found)
    languages = languages_of(found, benchmark)
    groups = [*languages, *([AVERAGE] if len(languages) > 1 else [])]
    width = 0.84 / len(systems)
    figure = Figure(figsize=(max(6.0, 1.0 + 0.85 * len(groups)), 4.2), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(systems):
        scores = found["systems"][name][benchmark]
        there = [(at, scores[code]) for at, code in enumerate(groups) if code in scores]
        ends = [interval(score, problems(scores)) for _, score in there]
        below = [accuracy(score) - low for (_, score), (low, _) in zip(there, ends, strict=True)]
        above = [high - accuracy(score) for (_, score), (_, high) in zip(there, ends, strict=True)]
        axes.bar(
            [at + (place - (len(systems) - 1) / 2) * width for at, _ in there],
            [accuracy(score) for _, score in there],
            width * 0.94,
            yerr=[below, above],
            error_kw={"elinewidth": 0.8, "ecolor": INK, "capsize": 1.5, "capthick": 0.8},
            edgecolor=INK,
            linewidth=0.4,
            **_look(slots[name]),
        )
    if len(languages) > 1:
        axes.axvline(len(languages) - 0.5, color=FAINT, linewidth=1, linestyle=(0, (3, 3)))
    _label_x(axes, range(len(groups)), [f"{'all' if g == AVERAGE else g}\n{titles.group(g)}" for g in groups])
    axes.set_xlim(-0.55, len(groups) - 0.45)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("accuracy, percent (95% intervals)")
    _grid(axes)
    axes.set_title(printable(titles.benchmark(benchmark)), loc="left", fontweight="bold", parse_math=False)
    _legend(figure, [(titles.system(name), slots[name]) for name in systems])
    return _with_fonts(figure)


def heat_map(found: Mapping[str, Any], benchmark: str, titles: Titles) -> Figure:
    """How often each system gives the same answer in two languages: a matrix a system, all on one scale."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    systems = [name for name in systems_of(found, benchmark) if _matrix(found, name, benchmark)]
    columns = min(3, len(systems))
    lines = -(-len(systems) // columns)
    figure = Figure(figsize=(0.6 + 3.0 * columns, 0.6 + 3.0 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    image, heat = None, LinearSegmentedColormap.from_list("qalign", HEAT).with_extremes(bad=FAINT)
    for place, axes in enumerate(grid.flat):
        if place >= len(systems):
            axes.set_axis_off()
            continue
        codes, values = _ordered(found["consistency"][systems[place]][benchmark])
        shown = [[float("nan") if value is None else value for value in row] for row in values]
        image = axes.imshow(shown, vmin=0, vmax=100, cmap=heat)
        for i, row in enumerate(values):
            for j, value in enumerate(row):
                if value is not None:
                    color = "white" if value >= DARK_FROM else "black"
                    axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=6.5, color=color)
        _label_x(axes, range(len(codes)), codes)
        axes.set_yticks(range(len(codes)), [printable(code) for code in codes], parse_math=False)
        axes.tick_params(length=0, labelsize=7.5)
        axes.spines[:].set_visible(False)
        title = printable(titles.system(systems[place]))
        axes.set_title(title, loc="left", fontsize=9, fontweight="bold", parse_math=False)
    assert image is not None
    bar = figure.colorbar(image, ax=list(grid.flat), shrink=0.5, aspect=30, pad=0.01)
    bar.set_label("same answer, percent of problems")
    bar.outline.set_visible(False)
    figure.suptitle(printable(titles.benchmark(benchmark)), x=0.01, ha="left", fontweight="bold", parse_math=False)
    return _with_fonts(figure)


def losses(curves: Curves, found: Mapping[str, Any], titles: Titles) -> Figure:
    """Loss per supervised token over steps, a panel a kind of stage and a line a stage, smoothed over the faint raw line."""
    from matplotlib.figure import Figure

    by_stage, slots = curves_by_stage(curves), slots_of(found)
    figure = Figure(figsize=(0.6 + 4.6 * len(by_stage), 3.6), layout="constrained")
    for axes, (stage, lines) in zip(
        figure.subplots(1, len(by_stage), squeeze=False).flat, by_stage.items(), strict=True
    ):
        entries = []
        for curve in lines:
            slot = slots.get(curve.systems[0], 0)
            color, dashes = PALETTE[slot % len(PALETTE)], "-" if slot < len(PALETTE) else "--"
            axes.plot(*zip(*curve.points, strict=True), color=color, linewidth=0.6, alpha=0.3)
            axes.plot(*zip(*smoothed(curve.points), strict=True), color=color, linewidth=1.6, linestyle=dashes)
            entries.append((", ".join(titles.system(name) for name in curve.systems), slot))
        axes.set_title(printable(stage_name(stage)), loc="left", fontweight="bold", parse_math=False)
        axes.set_xlabel("step")
        axes.set_ylabel("loss per supervised token")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        _grid(axes)
        _legend(axes, entries)
    return _with_fonts(figure)


# --- parts ------------------------------------------------------------------------------------------------------------


def _matrix(found: Mapping[str, Any], system: str, benchmark: str) -> Sequence[Sequence[float | None]]:
    matrix: Sequence[Sequence[float | None]] = (
        found.get("consistency", {}).get(system, {}).get(benchmark, {}).get("matrix") or ()
    )
    return matrix


def _ordered(row: Mapping[str, Any]) -> tuple[list[str], list[list[float | None]]]:
    """The languages in the order of the study, and the matrix in theirs."""
    codes = list(row["languages"])
    order = [codes.index(code) for code in in_order(codes)]
    return [codes[i] for i in order], [[row["matrix"][i][j] for j in order] for i in order]


def _look(slot: int) -> dict[str, Any]:
    return {"color": PALETTE[slot % len(PALETTE)], "hatch": HATCHES[slot // len(PALETTE) % len(HATCHES)]}


def _grid(axes: Axes) -> None:
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)


def _label_x(axes: Axes, places: Iterable[int], labels: Sequence[str]) -> None:
    lines = ["\n".join(printable(line) for line in label.split("\n")) for label in labels]
    axes.set_xticks(list(places), lines, parse_math=False)


def _legend(where: Figure | Axes, entries: Sequence[tuple[str, int]]) -> None:
    """A legend of patches. Names are set afterwards: a label that begins with "_" would be left out."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    handles = [Patch(edgecolor=INK, linewidth=0.4, **_fill(slot)) for _, slot in entries]
    labels = [str(number) for number in range(len(entries))]
    if isinstance(where, Figure):
        legend = where.legend(handles, labels, loc="outside lower left", ncols=3, frameon=False, fontsize=8)
    else:
        legend = where.legend(handles, labels, loc="upper right", frameon=False, fontsize=7)
    for text, (name, _) in zip(legend.get_texts(), entries, strict=True):
        text.set_parse_math(False)
        text.set_text(printable(name))


def _fill(slot: int) -> dict[str, Any]:
    look = _look(slot)
    return {"facecolor": look["color"], "hatch": look["hatch"]}


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


# --- fonts ------------------------------------------------------------------------------------------------------------


def printable(name: str) -> str:
    """A name on one line, no longer than fits, of characters that some installed font has; others as their code."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    if len(line) > LONGEST_NAME:
        line = line[: LONGEST_NAME - 1] + "…"
    return "".join(c if _font_with(c) else f"<U+{ord(c):04X}>" for c in line)


def _with_fonts(figure: Figure) -> Figure:
    """The figure, each of its texts with the fonts that have its characters."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        needed = dict.fromkeys(
            font for c in text.get_text() if c != "\n" and (font := _font_with(c)) not in (None, FONT)
        )
        if needed:
            text.set_fontfamily([FONT, *(name for name in needed if name)])
    return figure


@cache
def _font_with(character: str) -> str | None:
    """The font for a character: DejaVu Sans, else the first installed one in order of the alphabet that has it."""
    from matplotlib import font_manager

    if ord(character) in _characters(font_manager.findfont(FONT)):
        return FONT
    for name, path in _installed():
        if ord(character) in _characters(path):
            return name
    return None


@cache
def _installed() -> list[tuple[str, str]]:
    """Fonts in their ordinary cut, by name."""
    from matplotlib import font_manager

    entries = font_manager.fontManager.ttflist
    return sorted(
        {e.name: e.fname for e in entries if e.style == "normal" and e.weight == 400 and _is_usable(e.name)}.items()
    )


def _is_usable(name: str) -> bool:
    return name != FONT and not name.startswith(("STIX", "cm", "DejaVu Sans Display", "Last Resort"))


@cache
def _characters(path: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(path).get_charmap())
