"""What is printed on a pseudo-terminal of 80 and of 120 columns: nothing is shortened, and nothing runs over the edge."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len

from qalign.results.schema import described
from qalign.systems import SYSTEMS

WIDTHS = (80, 120)
LANGUAGES = ["bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en"]


def screen(width: int, *words: str | Path, folder: Path | None = None) -> tuple[int, list[str]]:
    """The exit status of qalign on a terminal of a width, and the lines on it."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "qalign", *map(str, words)], stdin=other, stdout=other, stderr=other, cwd=folder,
        env={**environment, "TERM": "xterm"},
    )  # fmt: skip
    os.close(other)
    written = b""
    try:
        while part := os.read(main, 65536):
            written += part
    except OSError:  # the other side is closed: the end
        pass
    os.close(main)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode()).replace("\r\n", "\n")
    return process.wait(), text.split("\n")


def demo_like(folder: Path) -> Path:
    """A results.json of the shape that the demo's has: three systems, two benchmarks, ten languages, every figure another."""
    number = iter(range(101, 10_000))
    errors = {"standard_error": {"strict": 1.25, "paper": 2.25}}

    def score() -> dict[str, Any]:
        correct, wrong = next(number), next(number)
        counts = {"correct": correct, "wrong": wrong, "unanswered": 5, "cut_off": 1000 - correct - wrong - 5}
        return {"n": 1000, "accuracy": {"strict": correct / 10, "paper": next(number) / 10}, **counts, **errors}

    def mean(rows: list[dict[str, Any]]) -> dict[str, Any]:
        sums = {key: sum(row[key] for row in rows) for key in ("n", "correct", "wrong", "unanswered", "cut_off")}
        means = {rule: sum(row["accuracy"][rule] for row in rows) / len(rows) for rule in ("strict", "paper")}
        return {**sums, **errors, "accuracy": means}

    def row() -> dict[str, dict[str, Any]]:
        languages = {code: score() for code in LANGUAGES}
        return {**languages, "average": mean([*languages.values()]), "non_english": mean([*languages.values()][:-1])}

    names = ["monoreason", "multireason", "qalign-mono"]
    scores = {name: {benchmark: row() for benchmark in ("world-mgsm", "world-msvamp")} for name in names}
    path = folder / "results.json"
    found = {
        "format": "qalign-results", "version": 2, "rules": msgspec.to_builtins(described()), "systems": scores,
        "run": {"base": "world", "scale": "toy", "seed": 1234, "qalign": "0.1.0"}, "trained_on": {}, "published": {},
    }  # fmt: skip
    path.write_text(json.dumps(found))
    return path


@pytest.mark.parametrize("width", WIDTHS)
def test_report_shows_every_figure_of_the_demo(width: int, tmp_path: Path) -> None:
    path = demo_like(tmp_path)
    status, lines = screen(width, "report", path)
    assert status == 0
    assert max(map(cell_len, lines)) <= width
    assert "…" not in "".join(lines)
    numbers = {word for line in lines for word in line.split()}
    for name, by_benchmark in json.loads(path.read_text())["systems"].items():
        for benchmark, row in by_benchmark.items():
            for code, score in row.items():
                assert f"{score['accuracy']['strict']:.1f}" in numbers, (name, benchmark, code)
            average = row["average"]
            wanted = [
                f"{average['accuracy']['paper']:.1f}",
                *(f"{average[key]:,}" for key in ("wrong", "unanswered", "cut_off")),
            ]
            assert set(wanted) <= numbers, (name, benchmark)


@pytest.mark.parametrize("width", WIDTHS)
def test_list_shows_every_name_and_figure(width: int) -> None:
    status, lines = screen(width, "list")
    assert status == 0
    assert max(map(cell_len, lines)) <= width
    assert "…" not in "".join(lines)
    words = {word.strip(",") for line in lines for word in line.split()}
    assert set(SYSTEMS) <= words
    published = {f"{figures['7B']}" for row in SYSTEMS.values() for figures in row.published.values()}
    assert published <= words and "395,000" in words


@pytest.mark.parametrize("width", WIDTHS)
def test_check_and_plan_fit(width: int, tmp_path: Path) -> None:
    status, lines = screen(width, "check", "world-mgsm", "--role", "test", folder=tmp_path)
    assert status == 0
    assert max(map(cell_len, lines)) <= width
    assert [line.split() for line in lines if line.startswith("all")] == [["all", "2,000", "2,000"]]
    status, lines = screen(
        width, "plan", "qalign-mono", "multireason", "--base", "world", "--scale", "toy", folder=tmp_path
    )
    assert status == 0
    assert max(map(cell_len, lines)) <= width
    assert "…" not in "".join(lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_ends_with_one_table_that_fits_and_where_the_results_are(width: int, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "script.json").write_text(json.dumps({"answers": {}, "otherwise": "the answer is 1"}))
    (tmp_path / "own").mkdir()
    for code in LANGUAGES:
        rows = [{"id": str(number), "question": "How many?", "answer": str(number)} for number in (1, 2, 3)]
        (tmp_path / "own" / f"{code}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, lines = screen(
        width, "eval", "model", "--test", "own", "--test-languages", ",".join(LANGUAGES), "--scale", "sample",
        "--set", "generation.backend=scripted", folder=tmp_path,
    )  # fmt: skip
    assert status == 0, lines
    heads = [line for line in lines if re.match(r"system +benchmark", line)]
    assert len(heads) == 1
    (row,) = [line for line in lines if re.match(r"model +own", line)]
    assert "33.3" in row and "…" not in row
    start = lines.index(heads[0])
    assert max(map(cell_len, (line for line in lines[start:] if "runs/" not in line))) <= width
    assert any(line.startswith("All tables: qalign report runs/results/") for line in lines)
