"""The time that is left is said once it can be trusted, in the lines of a log and on a terminal alike."""

from __future__ import annotations

import re

import pytest

from qalign import progress
from qalign.progress import Bar
from qalign.wording import duration


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress.time, "monotonic", made.monotonic)
    return made


def lines(
    clock: Clock, capsys: pytest.CaptureFixture[str], seconds: list[float], total: int, done: int = 0
) -> list[str]:
    """What a log gets: ten units are reported after each of the seconds."""
    with Bar("training", total, done) as bar:
        for passed in seconds:
            clock.now += passed
            bar.advance(10, "loss 1.0")
    return capsys.readouterr().err.splitlines()


def test_slow_first_steps_do_not_count(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(clock, capsys, [600, 25, 25], 1000)
    assert len(said) == 3 and not any("left" in line for line in said[:2])
    assert said[2].endswith("training: 30/1000  loss 1.0  40 min left"), "970 are left, at 20 in 50 seconds"


def test_fast_first_answers_do_not_count(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(clock, capsys, [20, 0.1, 29, 30], 1000)
    assert [line.rpartition("  ")[2] for line in said] == ["loss 1.0", "loss 1.0", "32 min left"]


def test_short_work_is_trusted_by_its_share(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(clock, capsys, [1, 20, 1, 1, 1], 50)
    assert said[0].endswith("10/50  loss 1.0") and said[1].endswith("20/50  loss 1.0  1 min left")
    assert said[-1].endswith("50/50  loss 1.0"), "nothing is left"


def test_what_an_earlier_run_did_has_no_rate(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(clock, capsys, [20, 40], 1000, done=900)
    assert said[-1].endswith("920/1000  loss 1.0  5 min left")


def test_the_first_line_stands_before_any_work(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """And each unit moves the bar, while what is said of its state comes now and then."""
    with Bar("training", 20) as bar:
        bar.advance(0, "the first step")
        assert capsys.readouterr().err.endswith("  training: 0/20  the first step\n")
        for step in range(20):
            clock.now += 3
            bar.advance(1)
            if step % 10 == 9:
                bar.advance(0, f"loss {step}")
    said = [line.partition("training: ")[2] for line in capsys.readouterr().err.splitlines()]
    assert [line.split("  ")[:2] for line in said] == [
        ["7/20", "the first step"],
        ["14/20", "loss 9"],
        ["20/20", "loss 19"],
    ], said


def test_a_terminal_says_the_same(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    with Bar("training", 1000) as bar:
        clock.now += 600
        bar.advance(10)
        assert bar._progress is not None
        assert bar._progress.tasks[0].fields["left"] == ""
        clock.now += 50
        bar.advance(20)
        assert bar._progress.tasks[0].fields["left"] == "40 min left"
    assert re.search("30/1000", capsys.readouterr().err)


def test_durations_are_words() -> None:
    assert [duration(seconds) for seconds in (None, 0.2, 59, 61, 5400, 5e4, 3e5)] == [
        "unknown", "1 s", "59 s", "1 min", "1.5 h", "13.9 h", "3.5 days",
    ]  # fmt: skip
