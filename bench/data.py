"""The texts that are measured on: the examples that the package makes of real question-alignment data and of GSM8K."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from qalign.pipeline import run
from qalign.placement import Placement
from qalign.records import Example, read_jsonl
from qalign.systems.artifacts import EXAMPLES
from qalign.systems.scales import SCALES
from qalign.systems.settings import parse_settings
from qalign.systems.study import Study

LANGUAGES = ("de", "es", "fr", "ja", "ru", "sw", "zh")
DATASETS = ("question alignment", "GSM8K")


def examples(data: Path, runs: Path) -> dict[str, list[Example]]:
    """The whole of each dataset, prepared as `qalign run` does; kept in `runs`."""
    study = Study(
        base_name="tiny",
        scale=SCALES["paper"],
        runs=runs,
        languages=LANGUAGES,
        english="gsm8k",
        data=data,
        settings=parse_settings(["data.drop_invalid=true"], []),
    )
    stages = (study.translation(), study.english_answers())
    run(stages, runs, Placement(runs=runs))
    return {
        name: list(read_jsonl(stage.folder(runs) / EXAMPLES, Example))
        for name, stage in zip(DATASETS, stages, strict=True)
    }


def texts(made: dict[str, list[Example]]) -> Iterator[str]:
    """What a vocabulary is learnt from."""
    for rows in made.values():
        for row in rows:
            if row.instruction is not None:
                yield row.instruction
            yield row.response
