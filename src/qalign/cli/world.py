"""The verb `world`: the embedded world's problems, its corpora as files, and its base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SettingError, nearest
from ..options import DATA, OUTPUT, StudyOptions, codes, options_of
from ..placement import Placement
from ..terminal import say, show, write
from ..untrusted import printable
from ..wording import counted
from . import completion
from .help import Verb, Verbs, epilog
from .options import JOBS, Names, Quiet, option, with_study

if TYPE_CHECKING:
    from ..systems.study import Study

app = typer.Typer(
    name="world", help="The embedded world: show its problems, write its corpora, train and probe its base.",
    no_args_is_help=True, rich_markup_mode=None, cls=Verbs, subcommand_metavar="VERB ...",
)  # fmt: skip
KINDS = ("mgsm", "msvamp", "gsm8k", "gsm8kinstruct", "development", "development-out")
SETS = tuple(f"world-{kind}" for kind in KINDS)
"""The sets of problems that `show` shows."""


@app.command("show", cls=Verb, epilog=epilog("world show"))
def show_command(
    languages: Names = None,
    corpus: Annotated[str, option(DATA, "A set of problems of the world.", metavar="CORPUS", autocompletion=completion.words(*SETS))] = "world-mgsm",
    count: Annotated[int, option(OUTPUT, "The number of problems.", metavar="N", min=1)] = 3,
) -> None:  # fmt: skip
    """Print problems of the world with their worked answers."""
    from ..languages import STUDY
    from ..world.grammar import grammar
    from ..world.sets import stories

    name = corpus.removeprefix("world-")
    if name not in KINDS:
        raise SettingError(f"'{corpus}' is not a set of problems of the world: {nearest(corpus, SETS)}")
    spoken = [grammar(code) for code in codes(languages) or STUDY]
    for story in stories(name)[:count]:
        write(f"# {story.signature}: {story.answer}")
        for said in spoken:
            write(f"{said.code}  {said.question(story)}\n    {said.solution(story)}")


@app.command("write", cls=Verb, epilog=epilog("world write"))
def write_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder for the corpora, a folder each.")],
    languages: Names = None,
) -> None:
    """Write the world's corpora as JSONL files, one per language, in the format of your own data."""
    import json

    from ..corpora import CORPORA
    from ..languages import STUDY
    from ..records import atomic_file
    from ..world import rows

    wanted = codes(languages) or STUDY
    for code in wanted:
        if code not in STUDY:
            raise SettingError(f"the world has no language '{code}': {nearest(code, STUDY)}")
    for corpus in CORPORA.values():
        for role in corpus.roles if corpus.world is not None else ():
            known = [code for code in corpus.languages if role not in ("questions", "answers") or code != "en"]
            chosen = ["en"] if role == "english" else [code for code in wanted if code in known]
            texts: dict[str, list[str]] = {code: [] for code in chosen}
            for code, row in rows(corpus.world or "", role, chosen):
                texts[code].append(json.dumps(row, ensure_ascii=False) + "\n")
            place = folder / corpus.name / role
            place.mkdir(parents=True, exist_ok=True)
            for code, lines in texts.items():
                with atomic_file(place / f"{code}.jsonl") as temporary:
                    temporary.write_text("".join(lines), encoding="utf-8")
            say(f"{place}: {counted(sum(map(len, texts.values())), 'row')} in {counted(len(texts), 'language')}")


@app.command("base", cls=Verb, epilog=epilog("world base"))
@with_study(
    without=[name for name in options_of(StudyOptions) if name not in ("seed", "runs", "settings")]
    + ["jobs", "batch_size"],
    defaults={"processes": JOBS, "seconds_per_checkpoint": 120.0},
)
def base_command(
    study: Study,
    placement: Placement,
    output: Annotated[Path | None, typer.Argument(metavar="DIR", help="Copy the trained base to this folder, with a model card.")] = None,
    documents: Annotated[int, option(DATA, "Texts that it reads, once each.", metavar="N", min=1)] = 320_000,
) -> None:  # fmt: skip
    """Train the model that `--base world` names, from the world's text alone.

    `--set text.sums=0.05` changes the share of sums in its English texts, `text.worked` that of worked stories. `--set
    tiny.FIELD=VALUE` changes its shape. A GPU takes large batches.
    """
    from ..systems.world import make_base, world_base

    write(printable(str(make_base(world_base(study, documents, placement.device), placement, output))))


@app.command("probe", cls=Verb, epilog=epilog("world probe"))
def probe_command(
    models: Annotated[list[str] | None, typer.Argument(metavar="[MODEL]", help="Bases to ask: folders, or world for the shipped one.", show_default="world")] = None,
    count: Annotated[int, option(OUTPUT, "Probes of a kind in a language.", metavar="N", min=1)] = 40,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Show what a base knows of the world's languages and of reasoning, before any fine-tuning."""
    from ..systems.bases import WORLD, WORLD_FOLDER, checkpoint
    from ..systems.world import probe

    for model in models or [WORLD]:
        folder = WORLD_FOLDER if model == WORLD else checkpoint(model, Path("runs"))
        for table in probe(folder, printable(model), count, quiet):
            show(table, "")
