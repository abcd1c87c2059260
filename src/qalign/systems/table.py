"""The systems of the study: one row each, with what was published of it (arXiv 2401.07817, tables 1 and 2; NJUNLP/QAlign).
Those of MathOctopus are its authors' (microsoft/MathOctopus).

Figures are accuracies in percent, averages over the ten languages, by size of LLaMA-2. The checkpoints are in `presets`. Below
are figures that others published, by language where these are known. The same checkpoint has other scores elsewhere, under
another prompt or rule, so each row names who measured it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

from ..errors import SettingError, nearest
from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..languages import STUDY
from ..own_code import own_faults, own_function
from ..pipeline import Stage, in_order
from ..results.schema import PublishedRow
from . import recipes
from .artifacts import Model
from .recipes import Recipe as Recipe
from .study import Study

_NAME = re.compile(r"[\w.@+-]{1,100}")
"""Names of stages, which their folders have."""


@dataclass(frozen=True, slots=True)
class System:
    """A named recipe. `published` is benchmark -> model size -> average."""

    name: str
    title: str
    recipe: Recipe
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    programs: bool = False
    """Whether it is asked for a program first, which is run."""
    note: str = ""
    """What tables say of it."""
    corpus: str = ""
    """The corpus that the brackets of the title speak of."""
    source: str = ""
    """Who published the figures, where it is not the study."""

    def title_in(self, study: Study) -> str:
        """The title, without brackets that speak of a corpus which the study does not train on."""
        corpora = (study.english or study.scale.english, study.multilingual or study.scale.multilingual)
        return self.title if self.corpus in ("", *corpora) else self.title.partition(" (")[0]


def _figures(mgsm: tuple[float, float], msvamp: tuple[float, float]) -> dict[str, dict[str, float]]:
    rows = {"mgsm": mgsm, "msvamp": msvamp}
    return {benchmark: {"7B": small, "13B": large} for benchmark, (small, large) in rows.items()}


_OCTOPUS = "arXiv 2310.20246"
STAND_IN = "the original's data, reward models and PPO settings were never published"

# fmt: off
SYSTEMS: Mapping[str, System] = {
    row.name: row
    for row in (
        System("sft", "SFT", recipes.sft, _figures((22.6, 29.7), (30.9, 38.1))),
        System("rft", "RFT", recipes.rft, _figures((20.6, 29.5), (31.3, 37.1))),
        System("metamath", "MetaMath", recipes.metamath),
        System("mammoth", "MAmmoTH", recipes.mammoth, _figures((21.3, 28.9), (26.3, 38.6)), programs=True),
        System("wizardmath", "WizardMath, stand-in", recipes.wizardmath, _figures((23.0, 28.3), (32.5, 35.7)), note=STAND_IN),
        System("monoreason", "MonoReason (MetaMath)", recipes.monoreason, _figures((38.4, 43.9), (46.2, 51.8)),
               corpus="metamathqa"),
        System("multireason", "MultiReason (MathOctopus)", recipes.multireason, _figures((40.0, 45.8), (44.1, 46.5)),
               corpus="gsm8kinstruct"),
        System("mathoctopus-parallel", "MathOctopus (parallel)", recipes.mathoctopus, _figures((40.0, 45.8), (41.7, 44.4)),
               source=_OCTOPUS),
        System("mathoctopus-cross", "MathOctopus (cross)", partial(recipes.mathoctopus, question="english"),
               _figures((32.2, 39.9), (42.5, 47.1)), source=_OCTOPUS),
        System("mathoctopus-parallel-xrft", "MathOctopus (parallel, xRFT)", recipes.mathoctopus_xrft,
               _figures((41.9, 47.6), (42.4, 44.5)), source=_OCTOPUS),
        System("mathoctopus-cross-xrft", "MathOctopus (cross, xRFT)", partial(recipes.mathoctopus_xrft, question="english"),
               {"mgsm": {"7B": 33.3}, "msvamp": {"7B": 43.1}}, source=_OCTOPUS),
        System("qalign-mono", "QAlign (monolingual)", recipes.qalign_mono, _figures((49.6, 57.1), (57.2, 62.6))),
        System("qalign-mixed", "QAlign (mixed)", recipes.qalign_mixed),
        System("qalign-en-x-questions", "QAlign, En->X questions", partial(recipes.qalign_mono, variant="en-x-questions")),
        System("qalign-x-en-answers", "QAlign, X->En answers", partial(recipes.qalign_mono, variant="x-en-answers")),
        System("qalign-en-x-answers", "QAlign, En->X answers", partial(recipes.qalign_mono, variant="en-x-answers")),
        System("qalign-general", "QAlign, X->En general-domain", partial(recipes.qalign_mono, variant="x-en-general")),
    )
}
# fmt: on


def find_system(name: str) -> System:
    """A system of the table, or a recipe of one's own as `module:function`, the module in the current folder or installed."""
    if name in SYSTEMS:
        return SYSTEMS[name]
    module_name, colon, function = name.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module_name.split("."), function)):
        raise SettingError(f"unknown system '{name}': {nearest(name, SYSTEMS)} (or module:function of your own)")
    return System(name, name, own_function(name))


def build(study: Study, name: str, label: str = "") -> Stage[Model]:
    """The last training stage of a system, with what `--set` says of its name or of its label in the table."""
    recipe, wanted = find_system(name).recipe, "return the last training stage"
    study = replace(study, system=label or name)
    with nullcontext() if name in SYSTEMS else own_faults(f"the recipe '{name}' failed"):
        made = recipe(study)
    if inspect.iscoroutine(made):
        made.close()
    if not isinstance(made, Stage):
        raise SettingError(f"the recipe '{name}' returned {type(made).__name__}; {wanted}")
    if not issubclass(made.makes, Model):
        raise SettingError(f"the recipe '{name}' returned the stage {made.name}, which makes no model; {wanted}")
    with own_faults(f"the recipe '{name}' returned a stage that cannot be made"):
        made = study.settings.tuned(study.system, made)
        stages = in_order([made])  # takes all fingerprints: of a config that has none, or inputs in a circle
    for stage in stages:
        if not _NAME.fullmatch(stage.name):
            advice = "whose name can be no folder's; name it by letters, digits and hyphens"
            raise SettingError(f"the recipe '{name}' made the stage '{stage.name[:80]}', {advice}")
    return made


# --- figures of others --------------------------------------------------------------------------------------------------

SOURCE = "arXiv 2401.07817"
OCTOPUS, MAPO, XPOT = "README of MathOctopus", "README of MAPO", "README of xpot"
Rows = tuple[tuple[str, str, str, tuple[float, ...]], ...]
ROWS: Rows = (
    (
        "QAlign (monolingual) 7B",
        "mgsm",
        "arXiv 2405.01345",
        (32.4, 39.6, 40.4, 44.0, 48.4, 54.8, 56.8, 52.4, 59.6, 68.0),
    ),
    ("MathOctopus (parallel) 7B", "mgsm", OCTOPUS, (28.8, 34.4, 39.2, 36.0, 38.4, 44.8, 43.6, 39.6, 42.4, 52.4)),
    ("MathOctopus (parallel) 13B", "mgsm", OCTOPUS, (35.2, 46.8, 42.8, 43.2, 48.8, 44.4, 48.4, 47.6, 48.0, 53.2)),
    ("WizardMath 7B", "mgsm", "README of mCoT", (2.0, 4.0, 3.4, 24.0, 22.4, 30.4, 30.4, 30.8, 34.8, 47.6)),
    ("WizardMath 13B", "mgsm", "README of mCoT", (6.4, 5.6, 5.6, 22.0, 28.0, 40.4, 42.0, 34.4, 45.6, 52.8)),
    ("MathOctopus (parallel) 33B", "mgsm", OCTOPUS, (46.5,)),
    ("MathOctopus (parallel) Mistral 7B", "mgsm", OCTOPUS, (50.2,)),
    ("MathOctopus (parallel) Mistral 7B", "msvamp", OCTOPUS, (43.9,)),
    ("MetaMathOctopus 7B", "mgsm", MAPO, (45.5,)),
    ("MetaMathOctopus 7B", "msvamp", MAPO, (53.0,)),
    ("MetaMathOctopus with MAPO 7B", "mgsm", MAPO, (51.6,)),
    ("MetaMathOctopus with MAPO 7B", "msvamp", MAPO, (64.7,)),
    ("xpot, parallel, Llama-2 7B", "mgsm", XPOT, (44.6,)),
    ("xpot, parallel, Llama-3.1 8B", "mgsm", XPOT, (62.6,)),
    ("xpot, parallel, Qwen2.5 7B", "mgsm", XPOT, (70.7,)),
)
"""Model, benchmark, source, and the average or the figures by language. Those of `SYSTEMS` come before these."""


def published_rows(benchmarks: Iterable[str]) -> list[PublishedRow]:
    """All published figures on some benchmarks."""
    of_systems = (
        (f"{row.title.partition(', stand-in')[0]} {size}", benchmark, row.source or SOURCE, (average,))
        for row in SYSTEMS.values()
        for benchmark, by_size in row.published.items()
        for size, average in by_size.items()
    )
    wanted = set(benchmarks)
    rows = {(model, benchmark, source): figures for model, benchmark, source, figures in (*of_systems, *ROWS)}
    return [
        PublishedRow(model, benchmark, _by_language(figures), source)
        for (model, benchmark, source), figures in rows.items()
        if benchmark in wanted
    ]


def _by_language(figures: tuple[float, ...]) -> dict[str, float]:
    """The figures by language with their averages, or the average alone."""
    average = round(sum(figures) / len(figures), 1)
    if len(figures) == 1:
        return {AVERAGE: average}
    *others, _ = figures  # English stands last
    non_english = round(sum(others) / len(others), 1)
    return {**dict(zip(STUDY, figures, strict=True)), AVERAGE: average, NON_ENGLISH: non_english}
