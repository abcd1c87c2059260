"""The options that verbs share: those that describe a study and those that say how it is run. Each verb shows what it uses."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Annotated, Any, get_origin, get_type_hints

import typer

from ..options import DATA, OUTPUT, TRAINING, Setting, StudyOptions, meanings, options_of, types_of
from ..placement import Placement
from ..resources import cores
from ..terminal import say
from . import completion

if TYPE_CHECKING:
    from ..systems.study import Study
    from ..systems.study_file import Values

JOBS = min(cores(), 4)
"""Stages at once where models are small and the device is a CPU: one a core, within reason."""
JOBS_IN_WORDS = "one per core, at most 4"
KINDS: Mapping[str, type] = {"study": StudyOptions, "placement": Placement}
"""The parameters of a verb that are made of options, and the classes of these."""
TRAINING_DATA = ("base", "languages", "questions", "english", "multilingual", "general", "teacher", "teacher_endpoint")
"""What only training reads."""
TRAINING_EXECUTION = ("processes", "launcher", "tokens_per_micro_batch", "activation_checkpointing", "compile", "seconds_per_checkpoint", "trackers")  # fmt: skip
"""How training is executed."""
ALL_EXECUTION = (*TRAINING_EXECUTION, "device", "jobs", "cluster", "cluster_options", "batch_size", "vllm", "quiet")


def option(panel: str, text: str, *names: str, **more: Any) -> Any:
    """An option with its help, in a group of the help."""
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


def option_of(kind: type, name: str, **more: Any) -> Any:
    """The option of a field of `StudyOptions` or `Placement`."""
    row, is_flag = options_of(kind)[name], types_of(kind)[name] == (bool,)
    flags = [row.flag or f"--{name.replace('_', '-')}"] if row.flag or is_flag else []
    shown = {"metavar": row.metavar or None, "min": row.least, "max": row.most, **more}
    return option(row.group, meanings(kind)[name], *flags, autocompletion=completion.KNOWN.get(row.names), **shown)


Systems = Annotated[list[str], typer.Argument(metavar="SYSTEM", help="Systems by name, or module:function of your own. NAME=SYSTEM gives one a name. `qalign list systems` names them. A study file (STUDY.toml) brings its own.", autocompletion=completion.systems)]  # fmt: skip
Names = Annotated[list[str] | None, option(DATA, "Language codes with commas, such as bn,th,sw; may be repeated.", metavar="CODES", autocompletion=completion.languages)]  # fmt: skip
Output = Annotated[Path | None, option(OUTPUT, "Where page and tables go. By default a folder under --runs.", metavar="DIR")]  # fmt: skip
Save = Annotated[Path | None, option(OUTPUT, "Write the study of this command to a TOML file, which takes the place of its options.", metavar="FILE")]  # fmt: skip
Runs = Annotated[Path, option_of(StudyOptions, "runs")]
Seed = Annotated[int, option_of(StudyOptions, "seed")]
Data = Annotated[Path | None, option_of(StudyOptions, "data")]
LanguageFile = Annotated[Path | None, option_of(StudyOptions, "language_file")]
Jobs = Annotated[int, option_of(Placement, "jobs", show_default=JOBS_IN_WORDS)]
Quiet = Annotated[bool, option_of(Placement, "quiet")]


def with_study(
    hidden: Collection[str] = (), without: Collection[str] = (), training: str = TRAINING,
    defaults: Mapping[str, object] = MappingProxyType({}),
) -> Callable[[Callable[..., None]], Callable[..., None]]:  # fmt: skip
    """Gives a verb the options of its `study` and `placement`, but for those named by `without`. Help leaves out the `hidden` ones.
    They are accepted, so that the line of a run can be pasted. `training` is the title of the group of training options."""

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, localns={"Study": object}, include_extras=True)
        parameters = {
            name: one.replace(annotation=hints[name])
            for name, one in inspect.signature(command).parameters.items()
            if name not in KINDS
        }
        own = list(parameters)
        fields = {key: [f for f in options_of(kind) if f not in (*own, *without)] for key, kind in KINDS.items()}
        for key, names in fields.items():
            parameters |= {name: _parameter(KINDS[key], name, defaults) for name in names}

        def wrapped(context: typer.Context, **arguments: Any) -> None:
            texts = arguments.get("settings") or ()
            arguments["settings"] = [Setting(text=text, origin="--set ") for text in texts]
            values = {
                key: {name: arguments[name] for name in names if arguments[name] is not None}
                for key, names in fields.items()
            }
            sources = {name: getattr(context.get_parameter_source(name), "name", "DEFAULT") for name in arguments}
            given = [name for name in fields["study"] if sources[name] != "DEFAULT"]
            if values["placement"].get("cluster") and sources["jobs"] == "DEFAULT":
                del values["placement"]["jobs"]  # a verb's default is about this machine
            study = _study(arguments, values["study"], given)
            placement = Placement(runs=study.runs, **values["placement"])
            command(**{name: arguments[name] for name in own}, study=study, placement=placement)

        signature = {"context": inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)}
        for name, one in parameters.items():
            annotation = _shown(one.annotation, name in hidden, training)
            signature[name] = one.replace(annotation=annotation, kind=inspect.Parameter.KEYWORD_ONLY)
        wrapped.__signature__ = inspect.Signature(list(signature.values()))  # type: ignore[attr-defined]
        wrapped.__annotations__ = {name: one.annotation for name, one in signature.items()}
        wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
        return wrapped

    return decorated


def _study(arguments: dict[str, Any], values: Values, given: Collection[str]) -> Study:
    """The study of a verb. A study file among its systems adds systems and options, but for those that were `given`."""
    from ..systems import study_file
    from ..systems.study import study

    if "systems" in arguments:
        arguments["systems"], values = study_file.with_file(arguments["systems"], values, given)
        if path := arguments["save"]:
            study_file.save(path, arguments["systems"], values)
            say(f"qalign: the study is in {path}")
    return study(**values)


def _shown(hint: Any, hidden: bool, training: str) -> object:
    """The type of an option, as help shows it for one verb."""
    kind, information = hint.__origin__, copy.copy(hint.__metadata__[0])
    if isinstance(information, typer.models.OptionInfo):
        information.hidden |= hidden
        if information.rich_help_panel == TRAINING:
            information.rich_help_panel = training
    return Annotated[kind, information]


def _parameter(kind: type, name: str, defaults: Mapping[str, object]) -> inspect.Parameter:
    """The option of a field, as typer reads it. The verb's default takes the place of the field's."""
    types = types_of(kind)[name]
    default = defaults.get(name, inspect.signature(kind).parameters[name].default)
    hint: Any = types[0]
    if get_origin(hint) is Sequence:  # each value is given by an option of its own
        hint, default = list[str] | None, None
    elif NoneType in types:
        hint = hint | None
    shown = JOBS_IN_WORDS if default == JOBS and name in defaults else True
    annotation = Annotated[hint, option_of(kind, name, show_default=shown)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
