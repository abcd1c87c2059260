"""The corpora as clones of the hub's repositories, written from the folder of real data: file, column and folder names are the
hub's, the rows are real as far as the folder has them.

Run as a script: python tests/corpora/hub_clones.py REAL_DATA FOLDER, then --data FOLDER.

Not in the folder of real data are MetaMathQA and the answers of GSM8KInstruct in other languages. Their rows are made from real
English rows; the final lines of the made answers are odd in the ways that the real English ones are (`FINAL_LINES`).
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = {
    "bn": "Bengali", "th": "Thai", "sw": "Swahili", "ja": "Japanese", "zh": "Chinese", "de": "German", "fr": "French",
    "ru": "Russian", "es": "Spanish", "en": "English",
}  # fmt: skip
FRAME = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request in {name}. "
    "Please answer in {name}.\n\n### Instruction:\n{question}\n\n### Response:"
)
FINAL_LINES = {
    "bn": ("#### {native}", "#### {plain}", "#### ৳{plain}", "উত্তর হল {plain}।"),
    "th": ("#### {native}", "#### {plain} บาท", "####{plain}", "คำตอบคือ {plain}"),
    "sw": ("#### {plain}", "#### Sh {plain}", "#### {plain}.0", "Jibu ni {plain}."),
    "ja": ("#### {plain}", "#### {plain}円", "####　{plain}", "答えは{plain}です。"),
    "zh": ("#### {plain}", "#### {plain}元", "#### ${plain}", "答案是{plain}。"),
    "de": ("#### {plain}", "#### {plain} €", "#### {plain},00", "Die Antwort ist {plain}."),
    "fr": ("#### {plain}", "#### {plain} $", "#### {plain},0", "La réponse est {plain}."),
    "ru": ("#### {plain}", "#### {plain} рублей", "#### {plain}%", "Ответ: {plain}"),
    "es": ("#### {plain}", "#### ${plain}", "#### {plain} dólares", "La respuesta es {plain}."),
}
"""The last lines of made answers, in turn; `native` has the digits of the script."""

NATIVE = {code: str.maketrans("0123456789", digits) for code, digits in (("bn", "০১২৩৪৫৬৭৮৯"), ("th", "๐๑๒๓๔๕๖๗๘๙"))}
METAMATH_ROWS = 395_000

Rows = list[dict[str, Any]]


def write_clones(real: Path, folder: Path, metamath_rows: int = METAMATH_ROWS) -> Path:
    """Writes every corpus that the hub has, and NTREX, which it has not, as local files. Returns the folder."""
    gsm8k(real, folder / "openai/gsm8k")
    mgsm(real, folder / "juletxara/mgsm")
    msvamp(real, folder / "Mathoctopus/MSVAMP")
    gsm8kinstruct(real, folder / "Mathoctopus/GSM8KInstruct_Parallel")
    metamathqa(real, folder / "meta-math/MetaMathQA", metamath_rows)
    shutil.copytree(real / "train/general/ntrex128", folder / "train/general/ntrex128", dirs_exist_ok=True)
    return folder


def gsm8k(real: Path, folder: Path) -> None:
    """Two configs in Parquet, and a README that states their sizes."""
    import pyarrow
    import pyarrow.parquet

    splits = {split: rows(real / f"train/gsm8k/{split}.jsonl.gz") for split in ("train", "test")}
    card = ["---", "language:\n- en", "license:\n- mit", "dataset_info:"]
    for config in ("main", "socratic"):
        (folder / config).mkdir(parents=True, exist_ok=True)
        card += [f"- config_name: {config}", "  features:\n  - name: question\n    dtype: string"]
        card += ["  - name: answer\n    dtype: string", "  splits:"]
        for split, found in splits.items():
            table = pyarrow.table({name: [row[name] for row in found] for name in ("question", "answer")})
            pyarrow.parquet.write_table(table, folder / config / f"{split}-00000-of-00001.parquet")
            card += [f"  - name: {split}\n    num_bytes: {table.nbytes}\n    num_examples: {len(found)}"]
    card.append("configs:")
    for config in ("main", "socratic"):
        card += [f"- config_name: {config}\n  data_files:"]
        card += [f"  - split: {split}\n    path: {config}/{split}-*" for split in splits]
    write(folder / "README.md", "\n".join([*card, "---", "# Dataset Card for GSM8K\n"]))


def mgsm(real: Path, folder: Path) -> None:
    """One file `question TAB answer` a language, next to a script that must not run."""
    for path in sorted((real / "benchmarks/mgsm").glob("*.jsonl")):
        found = "".join(f"{row['question']}\t{row['answer']}\n" for row in rows(path))
        write(folder / f"mgsm_{path.stem}.tsv", found)
    for script in ("mgsm.py", "exemplars.py"):
        write(folder / script, "raise SystemExit('code of the repository was run')\n")
    write(folder / "README.md", "---\nlicense: cc-by-sa-4.0\n---\n# Dataset Card for MGSM\n")


def msvamp(real: Path, folder: Path) -> None:
    """One JSON list a language, named by the language's name, and configs by its code."""
    configs = []
    for code, name in NAMES.items():
        found = [
            {
                "m_query": row["question"],
                "response": row["answer"],
                "query": row.get("question_en") or "",
                "equation": row.get("equation") or "",
            }
            for row in rows(real / f"benchmarks/msvamp/{code}.jsonl")
        ]
        write(folder / f"test_{name}.json", json.dumps(found, ensure_ascii=False, indent=1))
        configs.append(f"- config_name: {code}\n  data_files:\n  - split: test\n    path: test_{name}.json\n")
    write(folder / "README.md", f"---\nlicense: apache-2.0\nconfigs:\n{''.join(configs)}---\n# MSVAMP\n")


def gsm8kinstruct(real: Path, folder: Path) -> None:
    """One JSON list of all languages; an English row opens a problem. Real are the English side, its final lines with all their
    oddities, and the questions in seven languages; Bengali and Thai questions are English ones behind two real words."""
    base = real / "train/gsm8kinstruct"
    questions = {
        code: {row["line"]: row["question"] for row in rows(base / f"questions/{code}.jsonl.gz")}
        for code in NAMES
        if (base / f"questions/{code}.jsonl.gz").exists()
    }
    made: Rows = []
    for ordinal, row in enumerate(rows(base / "en.jsonl.gz")):
        made.append(framed("en", row["question"], row["answer"]))
        for code, words in (("bn", "প্রশ্ন হল: "), ("th", "คำถามคือ: ")):
            made.append(framed(code, words + row["question"], answer_in(code, row, ordinal)))
        for code, of_language in questions.items():
            if row["line"] in of_language:
                made.append(framed(code, of_language[row["line"]], answer_in(code, row, ordinal)))
    write(folder / "train.json", json.dumps(made, ensure_ascii=False))
    write(folder / "README.md", "---\nlicense: mit\n---\n")


def framed(code: str, question: str, answer: str) -> dict[str, str]:
    """A row of GSM8KInstruct."""
    return {"prompt": FRAME.format(name=NAMES[code], question=question), "chosen": answer, "reject": ""}


def answer_in(code: str, row: Mapping[str, Any], ordinal: int) -> str:
    """A made answer in a language: the working of the English one, and a last line of that language. An English last line that
    is no plain number is kept."""
    working, mark, final = row["answer"].rpartition("####")
    plain = final.strip()
    if not mark or not plain.isdecimal():
        return str(row["answer"])
    pattern = FINAL_LINES[code][ordinal % len(FINAL_LINES[code])]
    return working + pattern.format(plain=plain, native=plain.translate(NATIVE.get(code, {})))


def metamathqa(real: Path, folder: Path, count: int) -> None:
    """One JSON list. The rows are made: the problems of GSM8K, over and over, in MetaMathQA's form."""
    found = rows(real / "train/gsm8k/train.jsonl.gz")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "MetaMathQA-395K.json").open("w", encoding="utf-8") as file:
        for ordinal in range(count):
            row = found[ordinal % len(found)]
            query = f"({ordinal // len(found) + 1}) {row['question']}"
            response = f"{row['answer']}\nThe answer is: {row['final']}"
            made = {"type": "GSM_Rephrased", "query": query, "original_question": row["question"], "response": response}
            file.write(("[\n" if ordinal == 0 else ",\n") + json.dumps(made, ensure_ascii=False, indent=2))
        file.write("\n]\n")
    write(folder / "README.md", "---\nlicense: mit\n---\n")


def rows(path: Path) -> Rows:
    """The rows of a JSONL file, plain or gzip."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write(path: Path, text: str) -> None:
    """Writes a text, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    print(write_clones(Path(sys.argv[1]), Path(sys.argv[2])))
