"""The trials behind `make hostile` tell a good end from a bad one."""

from __future__ import annotations

import pytest

from hostile.trial import BAD, Result, judged

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
