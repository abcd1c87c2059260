"""What the stages do: the functions behind the names, each from its config, its inputs' folders and an empty folder."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..alignment.mixture import Part, mix, table
from ..alignment.response import response_examples, text_examples
from ..alignment.translation import VARIANTS, translation_examples
from ..corpora import Source, read
from ..errors import DataError
from ..evaluation.scores import judge, score
from ..generation import DecodingConfig, generate, open_backend
from ..language_file import language_from
from ..languages import Language
from ..models.opening import POINTER, download
from ..pipeline import Work
from ..records import Document, Example, Pair, Prediction, Problem, read_jsonl, read_rows, write_json, write_jsonl
from ..training.config import Adapter, TrainingConfig
from ..training.memory import out_of_memory_in_one_line

RECORDS, COUNTS = "records.jsonl", "counts.json"
EXAMPLES, MIXTURE = "examples.jsonl", "mixture.json"
FRAME_TIMES = 2000
SERVED = "served.json"
PREDICTIONS, JUDGEMENTS, SCORES = "predictions.jsonl", "judgements.jsonl", "scores.json"


def read_corpus(work: Work) -> None:
    """Reads a corpus, whole and checked, and keeps what was asked for."""
    source: Source = work.local["source"]
    rows = _languages(work)
    text = read(source, list(rows), rows, drop_invalid=work.config["drop_invalid"])
    records = text.records
    if (first := work.config["problems_per_language"]) is not None:
        # The same problems in every language, or comparing languages would compare problems.
        ids = [record.id for record in records if record.language == records[0].language][:first]
        wanted = set(ids)
        records = [record for record in records if record.id in wanted]
    taken = Counter(record.language for record in records)
    if short := [code for code in rows if first is not None and taken[code] != len(ids)]:
        raise DataError(
            f"the first {len(ids)} problems of {records[0].language} are not all there in {', '.join(short)}: give problems that "
            "are translations of each other the same id, or measure on all (--set data.problems_per_language=none)"
        )
    write_jsonl(work.output / RECORDS, records)
    counts = {
        "corpus": work.config["source"]["corpus"],
        "counts": text.counts,
        "published": text.published,
        "kept": dict(taken),
        "dropped": text.dropped,
        "notes": text.notes,
    }
    write_json(work.output / COUNTS, counts)


def make_examples(work: Work) -> None:
    """Turns the records of one or several corpora into one mixture of examples."""
    rows = _languages(work)
    parts = []
    for name in sorted(work.inputs):
        made = list(examples_in(work.config["task"], work.inputs[name] / RECORDS, rows))
        parts.append(Part(made, work.config["weights"][name], work.config["examples_per_language"]))
    examples = mix(parts, work.config["seed"], work.config["max_repetition"])
    write_jsonl(work.output / EXAMPLES, examples)
    write_json(work.output / MIXTURE, [dataclasses.asdict(row) for row in table(examples)])


def examples_in(task: str, records: Path, rows: Mapping[str, Language]) -> Iterator[Example]:
    """The examples of a task ("text", "response", or an alignment variant) from a file of records."""
    kind = Document if task == "text" else Problem if task == "response" else Pair
    return examples_of(task, read_jsonl(records, kind), rows)


def examples_of(task: str, records: Iterable[Any], rows: Mapping[str, Language]) -> Iterator[Example]:
    """The examples of a task from records of its kind."""
    if task == "text":
        return text_examples(records)
    if task == "response":
        return response_examples(records)
    return translation_examples(VARIANTS[task], records, rows)


def name_served(work: Work) -> None:
    """Writes down the name of a model that only a server has."""
    write_json(work.output / SERVED, {"model": work.config["served"]})


def make_tiny_base(work: Work) -> None:
    """Makes the base named `tiny` from the texts of the run's own corpora."""
    from ..models.tiny import TinyConfig, make_tiny

    make_tiny(_texts(work), TinyConfig(**work.config["tiny"]), work.output)


def _texts(work: Work) -> Iterator[str]:
    """Of each corpus as much in one language as in any other, or the scarce ones would be cut into letters (the usual cure,
    arXiv 1901.07291, section 3.1)."""
    for name in sorted(work.inputs):
        rows = list(read_rows(work.inputs[name] / RECORDS))
        left = dict.fromkeys({row["language"] for row in rows}, min(Counter(row["language"] for row in rows).values()))
        for row in rows:
            if left[row["language"]] > 0:
                left[row["language"]] -= 1
                yield from (row[key] for key in ("question", "answer", "text", "text_en") if row.get(key))
    # The frame of every example, often enough that its words are tokens.
    yield from (str(value) for value in work.config["frame"] for _ in range(FRAME_TIMES))


def fetch_base(work: Work) -> None:
    """Fetches a model of the hub into the hub's cache and leaves a pointer to it."""
    download(work.config["hub"], work.config["revision"])
    write_json(work.output / POINTER, {"hub": work.config["hub"], "revision": work.config["revision"]})


def train(work: Work) -> None:
    """Fine-tunes a model on a mixture."""
    from ..training.launch import launch
    from ..training.loop import Job

    launch(
        Job(
            title=work.config["stage"],
            model=work.inputs["model"],
            examples=work.inputs["examples"] / EXAMPLES,
            output=work.output,
            scratch=work.scratch,
            config=training_config(work.config),
            placement=work.placement,
        )
    )


def training_config(config: Mapping[str, Any]) -> TrainingConfig:
    """The hyper-parameters in the config of a training stage."""
    values = dict(config["training"])
    if values["adapter"] is not None:
        values["adapter"] = Adapter(**values["adapter"])
    return TrainingConfig(**values)


def predict(work: Work) -> None:
    """Asks a model all problems of a test set; an own one has the name that the user knows, which is no part of what it is."""
    decoding = DecodingConfig(**work.config["decoding"])
    problems = list(read_jsonl(work.inputs["test"] / RECORDS, Problem))
    settings = {"config": work.config, "test": work.inputs["test"].name}
    title = work.local.get("title", work.config["title"])
    with out_of_memory_in_one_line("a lower --batch-size or fewer --jobs"):
        backend = open_backend(work.inputs["model"], decoding, work.placement)
        predictions = generate(problems, backend, work.scratch, settings, title, work.placement)
    write_jsonl(work.output / PREDICTIONS, predictions)


def score_predictions(work: Work) -> None:
    """Judges predictions under both rules and counts."""
    problems = read_jsonl(work.inputs["test"] / RECORDS, Problem)
    judgements = judge(problems, read_jsonl(work.inputs["predictions"] / PREDICTIONS, Prediction), _languages(work))
    write_jsonl(work.output / JUDGEMENTS, judgements)
    write_json(work.output / SCORES, {code: found.as_dict() for code, found in score(judgements).items()})


def _languages(work: Work) -> dict[str, Language]:
    rows: Mapping[str, Mapping[str, Any]] = work.config["languages"]
    return {code: language_from(row, code) for code, row in rows.items()}


WITHOUT_DEVICE = (read_corpus, make_examples, name_served, make_tiny_base, fetch_base, score_predictions)
"""The functions that compute on no GPU; every other one, of a user's own recipe too, may."""
