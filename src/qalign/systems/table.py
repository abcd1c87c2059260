"""The systems of the study: one row each, with what was published of it (arXiv 2401.07817, tables 1 and 2; NJUNLP/QAlign).
Those of MathOctopus are its authors' (microsoft/MathOctopus).

Figures are accuracies in percent, averages over the ten languages, by size of LLaMA-2. The checkpoints are in `presets`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

from ..errors import SettingError, nearest
from ..own_code import own_faults, own_function
from ..pipeline import Stage, in_order
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
    with nullcontext() if name in SYSTEMS else own_faults(f"{name} failed"):
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
