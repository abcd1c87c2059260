"""What all benchmarks share: the machine in words, sides that take turns, results as JSON and as a table in the documentation."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
DOCUMENT = ROOT / "docs" / "performance.md"

Measured = dict[str, float]
"""What one run of a side measured: a figure by name."""


def machine() -> dict[str, Any]:
    """The machine and the versions that a figure was measured with."""
    import torch

    from qalign.resources import cores, memory

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    return {
        "device": device,
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(memory() / 2**30),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "accelerate", "tokenizers")},
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def take_turns(sides: Mapping[str, Callable[[], Measured]], repeats: int) -> dict[str, list[Measured]]:
    """Runs all sides one after the other, `repeats` times over, so that a machine that grows slower slows all of them."""
    rounds: dict[str, list[Measured]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name, run in sides.items():
            measured = run()
            rounds[name].append(measured)
            figures = ", ".join(f"{key} {value:,.4g}" for key, value in measured.items())
            print(f"round {repeat + 1} of {repeats}: {name}: {figures}", flush=True)
    return rounds


def medians(rounds: Mapping[str, Sequence[Measured]]) -> dict[str, Measured]:
    """The median of each figure of each side."""
    return {
        name: {key: statistics.median(row[key] for row in measured) for key in measured[0]}
        for name, measured in rounds.items()
    }


def ratio(
    rounds: Mapping[str, Sequence[Measured]], figure: str, side: str, beside: str, their_figure: str | None = None
) -> float:
    """The median over the rounds of a figure of one side over that of another, or another one of theirs, in the same round."""
    return statistics.median(
        ours[figure] / theirs[their_figure or figure] for ours, theirs in zip(rounds[side], rounds[beside], strict=True)
    )


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; what is no word stands on the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def publish(name: str, results: Mapping[str, Any], text: str, document: Path = DOCUMENT) -> None:
    """Writes `bench/results/NAME.json`, and `text` between the marks of that name in a document."""
    RESULTS.mkdir(exist_ok=True)
    made = {"machine": machine(), **results}
    (RESULTS / f"{name}.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page = document.read_text(encoding="utf-8")
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"{document} has no place for '{name}': {begin} ... {end}")
    before, rest = page.split(begin)
    told = in_words(made["machine"])
    document.write_text(f"{before}{begin}\n{told}\n\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")
    print(f"\n{told}\n\n{text}")


def in_words(found: Mapping[str, Any]) -> str:
    """The machine as a sentence."""
    return (
        f"{found['device']}, {found['cores']} cores, {found['capability']}, {found['memory_gib']} GiB, "
        f"Python {found['python']}, torch {found['torch']}, transformers {found['transformers']}, {found['date']}."
    )
