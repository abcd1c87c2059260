"""The systems of the study: one row each, with what was published of it (arXiv 2401.07817, tables 1 and 2; NJUNLP/QAlign).

Figures are accuracies in percent, averages over the ten languages, by size of LLaMA-2. Checkpoints are hub names.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import SettingError, nearest
from ..pipeline import Stage
from . import recipes
from .study import Study

Recipe = Callable[[Study], Stage]


@dataclass(frozen=True, slots=True)
class System:
    """A named recipe. `published` is benchmark -> model size -> average; `checkpoints` is model size -> hub name."""

    name: str
    title: str
    recipe: Recipe
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    checkpoints: Mapping[str, str] = field(default_factory=dict)


def _figures(mgsm: tuple[float, float], msvamp: tuple[float, float]) -> dict[str, dict[str, float]]:
    return {
        "mgsm": dict(zip(("7B", "13B"), mgsm, strict=True)),
        "msvamp": dict(zip(("7B", "13B"), msvamp, strict=True)),
    }


# fmt: off
SYSTEMS: Mapping[str, System] = {
    row.name: row
    for row in (
        System("sft", "SFT", recipes.sft, _figures((22.6, 29.7), (30.9, 38.1))),
        System("monoreason", "MonoReason (MetaMath)", recipes.monoreason, _figures((38.4, 43.9), (46.2, 51.8)),
               {"7B": "meta-math/MetaMath-7B-V1.0", "13B": "meta-math/MetaMath-13B-V1.0"}),
        System("multireason", "MultiReason (MathOctopus)", recipes.multireason, _figures((40.0, 45.8), (44.1, 46.5)),
               {"7B": "Mathoctopus/Parallel_7B", "13B": "Mathoctopus/Parallel_13B"}),
        System("qalign-mono", "QAlign (monolingual)", recipes.qalign_mono, _figures((49.6, 57.1), (57.2, 62.6)),
               {"7B": "Wenhao97/QAlign-MetaMathQA-7B", "13B": "Wenhao97/QAlign-MetaMathQA-13B"}),
        System("qalign-mixed", "QAlign (mixed)", recipes.qalign_mixed),
        System("qalign-en-x-questions", "QAlign, En->X questions", recipes.qalign_en_x_questions),
        System("qalign-x-en-answers", "QAlign, X->En answers", recipes.qalign_x_en_answers),
        System("qalign-en-x-answers", "QAlign, En->X answers", recipes.qalign_en_x_answers),
        System("qalign-general", "QAlign, X->En general-domain", recipes.qalign_general),
    )
}
# fmt: on


def find_system(name: str) -> System:
    """A system of the table, or a recipe of one's own as `module:function` (the current folder is searched too).

    Raises:
        SettingError: there is no such system, module or function.
    """
    if name in SYSTEMS:
        return SYSTEMS[name]
    module_name, colon, function = name.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module_name.split("."), function)):
        raise SettingError(f"unknown system '{name}': {nearest(name, SYSTEMS)} (or module:function of your own)")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        recipe = getattr(importlib.import_module(module_name), function)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise SettingError(
            f"'{name}' cannot be imported ({error}); give module:function, the module in this folder"
        ) from error
    if not callable(recipe):
        raise SettingError(f"'{name}' is not a function; a recipe takes a Study and returns its last training stage")
    return System(name, name, recipe)


def build(study: Study, name: str) -> Stage:
    """The last training stage of a system.

    Raises:
        SettingError: the recipe did not return a stage.
    """
    made = find_system(name).recipe(replace(study, system=name))
    if not isinstance(made, Stage):
        raise SettingError(f"the recipe '{name}' returned {type(made).__name__}; return the last training stage")
    return made
