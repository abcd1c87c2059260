"""Question alignment for multilingual reasoning: QAlign, arXiv 2401.07817.

These names are the Python API, which docs/api.md shows. A name is imported on first use, so `import qalign` takes no time.
The kinds of stages, for recipes of your own, are in `qalign.stages`.
"""

from functools import cache, wraps
from importlib import import_module

TYPE_CHECKING = False  # as in `typing`, for which a file in the current folder may stand at this point of `python -m`
if TYPE_CHECKING:
    from .errors import QAlignError
    from .placement import Placement
    from .results.run_results import Results
    from .systems.asking import ask
    from .systems.planning import plan
    from .systems.running import evaluate, reproduce, run
    from .systems.scales import Scale
    from .systems.scoring import score
    from .systems.side_by_side import load_results
    from .systems.study import Study, study
    from .systems.study_file import load_study

__version__ = "0.1.0"
__all__ = [
    "Placement", "QAlignError", "Results", "Scale", "Study", "__version__", "ask", "evaluate", "load_results", "load_study",
    "plan", "reproduce", "run", "score", "study",
]  # fmt: skip
_MODULES = {
    "QAlignError": "errors",
    "Placement": "placement",
    "Results": "results.run_results",
    "ask": "systems.asking",
    "evaluate": "systems.running",
    "plan": "systems.planning",
    "reproduce": "systems.running",
    "run": "systems.running",
    "Scale": "systems.scales",
    "score": "systems.scoring",
    "load_results": "systems.side_by_side",
    "Study": "systems.study",
    "load_study": "systems.study_file",
    "study": "systems.study",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return _public(name)


@cache
def _public(name: str) -> object:
    """A name of the API. What a function says of options, it says by their names in Python."""
    from .errors import QAlignError
    from .options import in_python, known_names

    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    if isinstance(value, type):
        return value

    @wraps(value)
    def called(*values: object, **named: object) -> object:
        try:
            return value(*values, **named)
        except QAlignError as error:
            error.args = (in_python(str(error)),)
            raise

    return known_names("a study" if name == "study" else name, called)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
