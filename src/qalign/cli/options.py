"""What the verbs of the command line share: the options that describe a study and a placement, and how errors are shown."""

from __future__ import annotations

import errno
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ..errors import QAlignError, SettingError, nearest
from ..placement import Placement
from ..resources import cores
from ..terminal import INTERRUPTED, say
from ..untrusted import check_surrogates

if TYPE_CHECKING:
    from ..systems import Study

USER_ERROR = 2
CANNOT_WRITE = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EISDIR,
    errno.ENAMETOOLONG, errno.ENOTEMPTY, errno.ELOOP,
)  # fmt: skip
TRACKERS = ("aim", "clearml", "comet_ml", "dvclive", "mlflow", "swanlab", "tensorboard", "trackio", "wandb")
"""What accelerate can report the progress of training to (its `LoggerType`)."""

JOBS = min(cores(), 4)
"""Stages at once where models are small and the device is a CPU: one a core, within reason."""

Systems = Annotated[
    list[str], typer.Argument(help="Systems by name (see `qalign list`), or module:function of your own.")
]
Names = Annotated[str | None, typer.Option(help="Codes with commas, such as bn,th,sw.")]


@contextmanager
def errors() -> Iterator[None]:
    """One line and exit status 2 for what the user can mend; 130 for Ctrl-C; a traceback for a mistake of ours."""
    try:
        yield
    except QAlignError as error:
        say(f"qalign: error: {error}")
        raise SystemExit(USER_ERROR) from error
    except KeyboardInterrupt:
        say()
        say("qalign: interrupted; the same command goes on from here")
        raise SystemExit(INTERRUPTED) from None
    except ModuleNotFoundError as error:
        say(f"qalign: error: this needs {error.name}: pip install 'qalign[all]' (or one of its extras)")
        raise SystemExit(USER_ERROR) from error
    except OSError as error:
        if error.errno not in CANNOT_WRITE and error.filename is None:
            raise
        say(f"qalign: error: cannot use {error.filename or ''}: {error.strerror}; see to it and run it again")
        raise SystemExit(USER_ERROR) from error


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose errors are shown as `errors` shows them."""

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> None:
        with errors():
            _check_text(arguments, inspect.signature(command).parameters)
            command(**arguments)

    return wrapped


def _check_text(arguments: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]) -> None:
    """Raises an error for an empty argument, and for one that has no UTF-8: it would stand in files written after days."""
    for name, value in arguments.items():
        for text in value if isinstance(value, list) else [value]:
            if text == "" and parameters[name].default != "":
                dashes = "" if parameters[name].default is inspect.Parameter.empty else "--"
                option = dashes + name.strip("_").replace("_", "-")
                raise SettingError(f"{option} is empty; give it a value, or leave it out")
            if isinstance(text, str | Path):
                check_surrogates(str(text), f"the argument '{text}'")


def with_study(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options that describe a study and a placement, in front of which stand its own.

    Every verb on a study takes both, so that the line of a run serves for its plan too.
    """
    own = inspect.signature(command).parameters
    shared = [function for name, function in (("study", _study), ("placement", _placement)) if name in own]
    hints = get_type_hints(command, localns={"Study": object}, include_extras=True)
    for function in shared:
        hints = {**get_type_hints(function, localns={"Study": object}, include_extras=True), **hints}
    parameters = [own[name] for name in own if name not in ("study", "placement")]
    for function in shared:
        parameters += [
            p for p in inspect.signature(function).parameters.values() if p.name not in {q.name for q in parameters}
        ]

    def wrapped(**arguments: Any) -> None:
        with errors():
            _check_text(arguments, signature.parameters)
            built = {
                name: function(**{key: arguments[key] for key in inspect.signature(function).parameters})
                for name, function in (("study", _study), ("placement", _placement))
                if name in own
            }
            command(**{key: value for key, value in arguments.items() if key in own}, **built)

    signature = inspect.Signature([p.replace(annotation=hints[p.name]) for p in parameters])
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: hints[p.name] for p in parameters}
    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    return wrapped


def _study(
    *,
    base: Annotated[str, typer.Option(help="The model to start from: a folder, a hub name, 'world' (the embedded world's), or 'tiny' (random weights).")] = "tiny",
    scale: Annotated[str, typer.Option(help="'paper' (published data and hyper-parameters), 'sample' (a CPU, minutes), or 'toy' (the embedded world).")] = "paper",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Decides sampling, order and initial weights.")] = 1234,
    languages: Annotated[str | None, typer.Option(help="Languages of stage 1, such as bn,th,sw; all nine by default.")] = None,
    questions: Annotated[str | None, typer.Option(help="Parallel questions: a corpus by name, or a path.")] = None,
    english: Annotated[str | None, typer.Option(help="English questions and worked answers: name or path.")] = None,
    multilingual: Annotated[str | None, typer.Option(help="Questions and answers in many languages: name or path.")] = None,
    general: Annotated[str | None, typer.Option(help="General-domain parallel sentences: name or path.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="A benchmark by name, or the path of your own; may be repeated.")] = None,
    test_languages: Annotated[str | None, typer.Option(help="Languages to measure in; all that the test set has by default.")] = None,
    data: Annotated[Path | None, typer.Option(help="A folder with local copies of the corpora (docs/data.md).")] = None,
    language_file: Annotated[Path | None, typer.Option(help="A TOML file with rows for further languages (docs/data.md).")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="STAGE.FIELD=VALUE", help="Change one value of a stage; may be repeated.")] = None,
    runs: Annotated[Path, typer.Option(help="The folder of all stages and results.")] = Path("runs"),
) -> Study:  # fmt: skip
    from ..language_file import load_languages
    from ..languages import STUDY, language
    from ..systems import SCALES, SYSTEMS, Study
    from ..systems.settings import parse_settings

    if scale not in SCALES:
        raise SettingError(f"unknown scale '{scale}': {nearest(scale, SCALES)}")
    table = load_languages(language_file)
    chosen = codes(languages) or tuple(code for code in STUDY if code != "en")
    measured = codes(test_languages)
    for code in (*chosen, *(measured or ())):
        language(code, table)
    return Study(
        base, SCALES[scale], runs, seed, chosen, measured, questions, multilingual, english, general,
        tuple(test or ()), data, table, parse_settings(set_ or (), SYSTEMS),
    )  # fmt: skip


def _placement(
    *,
    runs: Path = Path("runs"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    processes: Annotated[int, typer.Option(min=1, help="Training processes on this machine, one a device.")] = 1,
    launcher: Annotated[str, typer.Option(help="Command that starts training processes instead, on one node or many: 'accelerate launch --config_file FILE'.")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Stages that run at once, each in a process of its own; they share the cores, and each gets a GPU of its own where there are several.")] = 1,
    tokens_per_micro_batch: Annotated[int | None, typer.Option(min=1, help="Bound on the tokens of a micro-batch; what the device has room for by default.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Prompts that are answered at once; by the device's memory by default.")] = None,
    activation_checkpointing: Annotated[bool | None, typer.Option(help="Less memory, a third more work; where memory asks for it by default.")] = None,
    compile: Annotated[bool | None, typer.Option(help="Fuse the work between matrix products with torch.compile; on CUDA by default.")] = None,
    seconds_per_checkpoint: Annotated[float, typer.Option(min=0.0, help="Time between checkpoints of training.")] = 300.0,
    tracker: Annotated[list[str] | None, typer.Option(help="Trackers that accelerate knows, or none; tensorboard by default.")] = None,
    quiet: Annotated[bool, typer.Option(help="No progress, only results.")] = False,
) -> Placement:  # fmt: skip
    if device not in ("auto", "cpu", "cuda", "mps"):
        raise SettingError(f"unknown device '{device}': {nearest(device, ('auto', 'cpu', 'cuda', 'mps'))}")
    for name in tracker or ():
        if name not in (*TRACKERS, "none"):
            raise SettingError(f"unknown tracker '{name}': {nearest(name, (*TRACKERS, 'none'))}")
    trackers = tuple(name for name in tracker if name != "none") if tracker is not None else ("tensorboard",)
    return Placement(
        runs, device, processes, jobs, tokens_per_micro_batch, batch_size, activation_checkpointing, compile,
        seconds_per_checkpoint, trackers, quiet, launcher=launcher,
    )  # fmt: skip


def codes(text: str | None) -> tuple[str, ...] | None:
    """The language codes of an option, each once."""
    if text is None:
        return None
    found = tuple(dict.fromkeys(code.strip() for code in text.split(",") if code.strip()))
    if not found:
        raise SettingError(f"'{text}' names no language; give codes with commas, such as bn,th,sw")
    return found


def whole_numbers(text: str) -> list[int]:
    """The seeds of an option, each once.

    Raises:
        SettingError: one is no whole number from 0 to 2^32 - 1.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and len(part) <= 10 and int(part) < 2**32 for part in parts):
        raise SettingError(f"'{text}' is no list of seeds; give whole numbers with commas, such as 101,102,103")
    return list(dict.fromkeys(map(int, parts)))
