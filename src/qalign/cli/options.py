"""The options that verbs share: those that describe a study and those that say how it is run. Each verb shows what it uses."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ..errors import SettingError
from ..languages import language_codes
from ..placement import DEVICES, TRACKERS, Placement
from ..resources import cores
from . import completion, study_files
from .guard import check_text, errors
from .help import DATA, EXECUTION, OUTPUT, TRAINING

if TYPE_CHECKING:
    from ..systems.study_options import StudyOptions

JOBS = min(cores(), 4)
"""Stages at once where models are small and the device is a CPU: one a core, within reason."""
JOBS_IN_WORDS = "one per core, at most 4"
KEYS = {"set_": "settings"}
"""Options that a study has another name for."""
TRAINING_DATA = ("base", "languages", "questions", "english", "multilingual", "general")
"""What only training reads."""
TRAINING_EXECUTION = ("processes", "launcher", "tokens_per_micro_batch", "activation_checkpointing", "compile", "seconds_per_checkpoint", "tracker")  # fmt: skip
"""How training is executed."""


def option(panel: str, text: str, *names: str, **more: Any) -> Any:
    """An option with its help, in a group of the help."""
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


Systems = Annotated[
    list[str],
    typer.Argument(
        metavar="SYSTEM",
        help="Systems by name, or module:function of your own. NAME=SYSTEM gives one a name. `qalign list systems` names them. "
        "A study file (STUDY.toml) brings its own.",
        autocompletion=completion.systems,
    ),
]
Names = Annotated[
    list[str] | None,
    option(
        DATA,
        "Language codes with commas, such as bn,th,sw; may be repeated.",
        metavar="CODES",
        autocompletion=completion.languages,
    ),
]
Runs = Annotated[Path, option(OUTPUT, "The folder of all stages and results.", metavar="DIR")]
Output = Annotated[
    Path | None, option(OUTPUT, "Where page and tables go. By default a folder under --runs.", metavar="DIR")
]
Save = Annotated[
    Path | None,
    option(
        OUTPUT, "Write the study of this command to a TOML file, which takes the place of its options.", metavar="FILE"
    ),
]
Quiet = Annotated[bool, option(OUTPUT, "Print results only, no progress.", "--quiet")]
Data = Annotated[Path | None, option(DATA, "A folder with local copies of the corpora.", metavar="DIR")]
LanguageFile = Annotated[Path | None, option(DATA, "A TOML file that describes further languages.", metavar="FILE")]


def with_study(
    hidden: Collection[str] = (), without: Collection[str] = (), training: str = TRAINING
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a verb the options of its `study` and `placement`.

    Args:
        hidden: options that are accepted, so that the line of a run can be pasted, and that help leaves out.
        without: options that the verb refuses.
        training: the title of the group of training options.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command).parameters
        builders = (("study", study_options), ("placement", _placement))
        shared = {name: function for name, function in builders if name in own}
        names = {key: [n for n in inspect.signature(f).parameters if n not in without] for key, f in shared.items()}
        hints: dict[str, Any] = {}
        parameters = [own[name] for name in own if name not in shared]
        for function in shared.values():
            hints |= get_type_hints(function, localns={"Study": object, "StudyOptions": object}, include_extras=True)
            taken = {*without, *(parameter.name for parameter in parameters)}
            parameters += [p for p in inspect.signature(function).parameters.values() if p.name not in taken]
        hints |= get_type_hints(command, localns={"Study": object, "StudyOptions": object}, include_extras=True)

        def wrapped(context: typer.Context, **arguments: Any) -> None:
            with errors():
                check_text(arguments, signature.parameters)
                built = {key: f(**{name: arguments[name] for name in names[key]}) for key, f in shared.items()}
                if "study" in built:
                    _build_study(arguments, built, {name for name in names["study"] if _is_given(context, name)})
                command(**{key: value for key, value in arguments.items() if key in own}, **built)

        hints = {p.name: _shown(hints[p.name], p.name in hidden, training) for p in parameters}
        shown = [p.replace(annotation=hints[p.name]) for p in parameters]
        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        signature = inspect.Signature([context, *shown])
        wrapped.__signature__ = signature  # type: ignore[attr-defined]
        wrapped.__annotations__ = {**hints, "context": typer.Context}
        wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
        return wrapped

    return decorated


def _build_study(arguments: dict[str, Any], built: dict[str, Any], given: Collection[str]) -> None:
    """Puts a study in the place of its options, with what a study file among the systems says.

    Args:
        arguments: of the verb; gets the systems of the file.
        built: gets the study.
        given: the options that stand on the command line.
    """
    from ..systems.study_options import study

    options: StudyOptions = built["study"]
    if "systems" in arguments:
        keys = {KEYS.get(name, name) for name in given}
        arguments["systems"], options = study_files.with_file(arguments["systems"], options, keys)
    if (path := arguments.get("save")) is not None:
        study_files.save(path, arguments["systems"], options)
    built["study"] = study(**options)


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _shown(hint: Any, hidden: bool, training: str) -> Any:
    """The type of an option, as help shows it for one verb."""
    kind, information = hint.__origin__, copy.copy(hint.__metadata__[0])
    if isinstance(information, typer.models.OptionInfo):
        information.hidden |= hidden
        if information.rich_help_panel == TRAINING:
            information.rich_help_panel = training
    return Annotated[kind, information]


def study_options(
    *,
    base: Annotated[str, option(TRAINING, "The model to start from: a folder, a hub name, 'world' (the embedded world's) or 'tiny' (random weights). `qalign list bases` says when to take which.", metavar="MODEL")] = "tiny",
    scale: Annotated[str, option(TRAINING, "'paper' is the published data and hyper-parameters. 'sample' takes minutes on a CPU. 'toy' is the embedded world.", metavar="NAME", autocompletion=completion.scales)] = "paper",
    set_: Annotated[list[str] | None, option(TRAINING, "Change one setting of a stage; may be repeated. `qalign list settings` names them.", "--set", metavar="STAGE.FIELD=VALUE", autocompletion=completion.settings)] = None,
    seed: Annotated[int, option(TRAINING, "Decides sampling, order and initial weights.", metavar="N", min=0, max=2**32 - 1)] = 1234,
    questions: Annotated[str | None, option(DATA, "Parallel questions for stage 1: a corpus by name, or a path.", metavar="CORPUS", autocompletion=completion.corpora)] = None,
    english: Annotated[str | None, option(DATA, "English questions with worked answers: name or path.", metavar="CORPUS", autocompletion=completion.corpora)] = None,
    multilingual: Annotated[str | None, option(DATA, "Questions with worked answers in many languages, English among them: name or path.", metavar="CORPUS", autocompletion=completion.corpora)] = None,
    general: Annotated[str | None, option(DATA, "General-domain parallel sentences: name or path.", metavar="CORPUS", autocompletion=completion.corpora)] = None,
    languages: Annotated[list[str] | None, option(DATA, "Languages of stage 1, such as bn,th,sw; may be repeated. All nine by default.", metavar="CODES", autocompletion=completion.languages)] = None,
    test: Annotated[list[str] | None, option(DATA, "A benchmark by name, or the path of your own; may be repeated.", metavar="TEST", autocompletion=completion.benchmarks)] = None,
    test_languages: Annotated[list[str] | None, option(DATA, "Languages to measure in; may be repeated. All of the test set by default.", metavar="CODES", autocompletion=completion.languages)] = None,
    limit: Annotated[int | None, option(DATA, "Measure on the first N problems of each test set, the same in every language. Short for --set data.problems_per_language=N.", metavar="N", min=1)] = None,
    data: Data = None,
    language_file: LanguageFile = None,
    runs: Runs = Path("runs"),
) -> StudyOptions:  # fmt: skip
    """The options that make a study, by the names that a study has for them."""
    return {
        "base": base, "scale": scale, "seed": 1234 if seed is None else seed, "settings": set_ or (), "questions": questions, "english": english,
        "multilingual": multilingual, "general": general, "languages": codes(languages), "test": test,
        "test_languages": codes(test_languages), "limit": limit, "data": data, "language_file": language_file, "runs": runs,
    }  # fmt: skip


def _placement(
    *,
    runs: Runs = Path("runs"),
    device: Annotated[str, option(EXECUTION, "auto, cpu, cuda or mps.", metavar="NAME", autocompletion=completion.words(*DEVICES))] = "auto",
    processes: Annotated[int, option(EXECUTION, "Training processes on this machine, one per device.", metavar="N", min=1)] = 1,
    launcher: Annotated[str, option(EXECUTION, "Command that starts training processes instead, on one node or several, such as 'accelerate launch --config_file FILE'.", metavar="COMMAND")] = "",
    jobs: Annotated[int, option(EXECUTION, "Stages that run at once. They share the cores; each gets a GPU of its own where there are several.", metavar="N", min=1)] = 1,
    tokens_per_micro_batch: Annotated[int | None, option(EXECUTION, "Upper limit on the tokens of a micro-batch. By default what the device has room for.", metavar="N", min=1)] = None,
    batch_size: Annotated[int | None, option(EXECUTION, "Prompts that are answered at once. By default what the device has room for.", metavar="N", min=1)] = None,
    activation_checkpointing: Annotated[bool | None, option(EXECUTION, "Recompute activations: less memory, a third more work. By default where memory is short.")] = None,
    compile: Annotated[bool | None, option(EXECUTION, "Compile the model with torch.compile. By default on CUDA.")] = None,
    seconds_per_checkpoint: Annotated[float, option(EXECUTION, "Time between checkpoints of training.", metavar="SECONDS", min=0.0)] = 300.0,
    tracker: Annotated[list[str] | None, option(EXECUTION, "A tracker that accelerate knows, or none; may be repeated. By default tensorboard.", metavar="NAME", autocompletion=completion.words(*TRACKERS, "none"))] = None,
    quiet: Quiet = False,
) -> Placement:  # fmt: skip
    trackers = tuple(name for name in tracker if name != "none") if tracker is not None else ("tensorboard",)
    return Placement(
        runs=runs, device=device, processes=processes, jobs=jobs, tokens_per_micro_batch=tokens_per_micro_batch, batch_size=batch_size, activation_checkpointing=activation_checkpointing, compile=compile,
        seconds_per_checkpoint=seconds_per_checkpoint, trackers=trackers, quiet=quiet, launcher=launcher,
    )  # fmt: skip


def codes(texts: Sequence[str] | None) -> tuple[str, ...] | None:
    """The language codes of an option, each once; they stand with commas or spaces between them."""
    if texts is None:
        return None
    found = language_codes(texts)
    if not found:
        raise SettingError(f"'{' '.join(texts)}' names no language; give codes with commas, such as bn,th,sw")
    return found


def whole_numbers(text: str) -> list[int]:
    """The seeds of an option, each once.

    Raises:
        SettingError: one is no whole number from 0 to 2^32 - 1.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and len(part) <= 10 and int(part) < 2**32 for part in parts):
        raise SettingError(f"'{text}' is not a list of seeds; give whole numbers with commas, such as 101,102,103")
    return list(dict.fromkeys(map(int, parts)))
