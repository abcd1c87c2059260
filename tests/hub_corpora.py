"""Every corpus of the table that the hub has, as its repository there: the real names of files and columns, and made rows.

The four largest have few rows. `FEW` is put before a program that reads them, so that these are all that were published.
`corpora/hub_clones.py` writes real rows, as many as there are.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from corpora.hub_clones import FRAME, NAMES, Rows, gsm8k, gsm8kinstruct, metamathqa, mgsm, msvamp, write
from qalign.corpora import CORPORA

COUNT = 300
LARGE = ("gsm8kinstruct", "gsm8kinstruct-cross", "metamathqa", "mathinstruct")
FEW = f"""
from dataclasses import replace
from qalign.corpora.table import CORPORA
for name in {LARGE}:
    CORPORA[name] = replace(CORPORA[name], published=dict.fromkeys(CORPORA[name].published, {COUNT}))
"""
SEVEN = ("de", "es", "fr", "ja", "ru", "sw", "zh")
FLORES = {
    "bn": "ben_Beng", "de": "deu_Latn", "ru": "rus_Cyrl", "zh": "cmn_Hans", "en": "eng_Latn", "es": "spa_Latn", "fr": "fra_Latn",
    "ja": "jpn_Jpan", "sw": "swh_Latn", "th": "tha_Thai", "te": "tel_Telu",
}  # fmt: skip


def write_repositories(folder: Path) -> Path:
    """Writes the repositories as `owner/name`, from rows made for it. Returns the folder that holds them."""
    made, hub = folder / "rows", folder / "datasets"
    problems = [problem(number) for number in range(CORPORA["gsm8k"].published["en"])]
    rows(made / "train/gsm8k/train.jsonl.gz", problems)
    rows(made / "train/gsm8k/test.jsonl.gz", problems[:9])
    few = problems[:COUNT]
    rows(made / "train/gsm8kinstruct/en.jsonl.gz", few)
    for code in SEVEN:
        translated = ({"line": one["line"], "question": f"{code} {one['question']}"} for one in few)
        rows(made / f"train/gsm8kinstruct/questions/{code}.jsonl.gz", translated)
    for name in ("mgsm", "msvamp"):
        for code, count in CORPORA[name].published.items():
            tested = ({"question": f"{code} {n} pens?", "answer": n} for n in range(count))
            rows(made / f"benchmarks/{name}/{code}.jsonl", tested)
    gsm8k(made, hub / "openai/gsm8k")
    mgsm(made, hub / "juletxara/mgsm")
    msvamp(made, hub / "Mathoctopus/MSVAMP")
    gsm8kinstruct(made, hub / "Mathoctopus/GSM8KInstruct_Parallel")
    metamathqa(made, hub / "meta-math/MetaMathQA", COUNT)
    crossed(few, hub / "Mathoctopus/MGSM8KInstruct_Cross")
    mathinstruct(hub / "TIGER-Lab/MathInstruct")
    flores(hub / "openlanguagedata/flores_plus", CORPORA["flores"].published["bn"])
    return hub


def problem(number: int) -> dict[str, object]:
    """A row of GSM8K."""
    return {
        "line": number,
        "question": f"Ann has {number} pens. How many?",
        "answer": f"So.\n#### {number}",
        "final": str(number),
    }


def crossed(problems: Rows, folder: Path) -> None:
    """One JSON list: the English question in the frame of each language, with the answer in it."""
    made = [
        {"prompt": FRAME.format(name=name, question=one["question"]), "chosen": one["answer"], "language": name}
        for one in problems
        for name in NAMES.values()
    ]
    write(folder / "MGSM8KInstruct_Cross.json", json.dumps(made, ensure_ascii=False))
    write(folder / "README.md", "---\nlicense: mit\n---\n")


def mathinstruct(folder: Path) -> None:
    """One JSON list; each row names its source."""
    sources = ("data/CoT/gsm_train.json", "data/PoT/gsm_gpt4.json")
    made = [
        {"source": sources[n % 2], "output": f"The answer is {n}", "instruction": f"What is {n}?"} for n in range(COUNT)
    ]
    write(folder / "MathInstruct.json", json.dumps(made))
    write(folder / "README.md", "---\nlicense: mit\n---\n")


def flores(folder: Path, count: int) -> None:
    """A config in Parquet for each language, with the splits `dev` and `devtest`."""
    import pyarrow
    import pyarrow.parquet

    configs = []
    for code, name in FLORES.items():
        made = [{"id": n, "iso_639_3": name[:3], "text": f"{code} {n}", "topic": "t"} for n in range(count)]
        for split in ("dev", "devtest"):
            (folder / split).mkdir(parents=True, exist_ok=True)
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(made), folder / split / f"{name}.parquet")
        splits = "".join(f"  - split: {split}\n    path: {split}/{name}.parquet\n" for split in ("dev", "devtest"))
        configs.append(f"- config_name: {name}\n  data_files:\n{splits}")
    write(folder / "README.md", f"---\nlicense: cc-by-sa-4.0\nconfigs:\n{''.join(configs)}---\n# FLORES+\n")


def rows(path: Path, found: Iterable[Mapping[str, object]]) -> None:
    """Writes JSONL, plain or gzip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
    path.write_bytes(gzip.compress(text.encode(), 1) if path.suffix == ".gz" else text.encode())
