"""A fixed few of each kind of the trials behind `make hostile`, so that neither they nor what they guard goes stale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hostile.trial import BAD, Result, judged

TESTS = Path(__file__).parents[1]
SAMPLE = 2
"""So many of each kind: under two minutes in all."""


def command(*words: str, output: Path) -> subprocess.CompletedProcess[str]:
    """The command behind `make hostile`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    line = [sys.executable, "-m", "hostile", "--output", str(output), *words]
    return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=900)


@pytest.mark.slow
def test_a_sample_of_each_kind_ends_well(tmp_path: Path) -> None:
    done = command("--sample", str(SAMPLE), output=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    outcomes = [json.loads(line) for path in tmp_path.glob("outcomes-*") for line in path.read_text().splitlines()]
    kinds = {row["id"].partition("/")[0] for row in outcomes}
    assert len(outcomes) == SAMPLE * len(kinds)
    assert len(kinds) >= 10
    again = command("--sample", str(SAMPLE), output=tmp_path)
    assert f"{len(outcomes)} of them done before" in again.stderr


REFUSAL = "qalign: error: p.jsonl line 3 has no 'gold'; add it\n"


@pytest.mark.parametrize(
    ("result", "refused", "verdict"),
    [
        ((2, "", REFUSAL), ("gold",), "refused rightly"),
        ((2, "", REFUSAL), ("language",), "refused badly"),
        ((2, "", REFUSAL), None, "refused badly"),
        ((1, "", REFUSAL), ("gold",), "refused badly"),
        ((2, "", "two\n" + REFUSAL), ("gold",), "refused badly"),
        ((2, "", REFUSAL.replace("gold", "go\x1b[31mld")), ("line",), "refused badly"),
        ((1, "", "Traceback (most recent call last):\nKeyError: 'gold'\n"), ("gold",), "traceback"),
        ((0, "fine", ""), ("gold",), "silent acceptance"),
        ((-11, "", ""), ("gold",), "traceback"),
    ],
)
def test_the_verdicts_tell_good_from_bad(
    result: tuple[int, str, str], refused: tuple[str, ...] | None, verdict: str
) -> None:
    status, stdout, stderr = result
    assert judged(Result(status, stdout, stderr, 1.0, False, 100), refused=refused).verdict == verdict


def test_an_accepted_input_is_checked() -> None:
    result = Result(0, "7", "", 1.0, False, 100)
    assert judged(result, accepted=lambda r: None).verdict == "accepted rightly"
    assert judged(result, accepted=lambda r: "8 was right").verdict == "result differs"
    assert judged(Result(0, "7", "", 60.0, True, 100), accepted=lambda r: None).verdict == "hang"
    assert set(BAD) & {"refused rightly", "accepted rightly"} == set()
