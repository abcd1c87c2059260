"""Question alignment for multilingual reasoning: QAlign, arXiv 2401.07817.

These names are the Python API, which docs/api.md shows. A name is imported on first use, so `import qalign` takes no time.
The kinds of stages, for recipes of your own, are in `qalign.stages`.
"""

from functools import cache
from importlib import import_module

TYPE_CHECKING = False  # as in `typing`, for which a file in the current folder may stand at this point of `python -m`
if TYPE_CHECKING:
    from .errors import QAlignError
    from .placement import Placement
    from .results.run_results import Results
    from .systems.ask import ask
    from .systems.checks import score
    from .systems.planning import plan
    from .systems.running import evaluate, reproduce, run
    from .systems.scales import Scale
    from .systems.side_by_side import load_results
    from .systems.study import Study, study
    from .systems.study_file import load_study

__version__ = "0.1.0"
__all__ = [
    "Placement", "QAlignError", "Results", "Scale", "Study", "__version__", "ask", "evaluate", "load_results", "load_study",
    "plan", "reproduce", "run", "score", "study",
]  # fmt: skip
_OF_MODULES = {
    "errors": ("QAlignError",),
    "placement": ("Placement",),
    "results.run_results": ("Results",),
    "systems.ask": ("ask",),
    "systems.planning": ("plan",),
    "systems.running": ("evaluate", "reproduce", "run"),
    "systems.scales": ("Scale",),
    "systems.checks": ("score",),
    "systems.side_by_side": ("load_results",),
    "systems.study": ("Study", "study"),
    "systems.study_file": ("load_study",),
}
_MODULES = {name: module for module, names in _OF_MODULES.items() for name in names}


@cache
def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from .options import known_names

    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value if isinstance(value, type) else known_names("a study" if name == "study" else name, value)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
