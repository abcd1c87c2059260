"""Programs for the world's problems: each prints the answer, and leaves the arithmetic to whoever runs it."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice

import pytest

from qalign.evaluation import programs
from qalign.world.draw import Draw
from qalign.world.plots import PLOTS, TOLD, fill, split_of
from qalign.world.programs import ASKED, mixture, program
from qalign.world.sets import stories


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: f"{plot.domain} {plot.name}")
def test_a_program_prints_the_answer(plot: object) -> None:
    draw = Draw("programs in tests")
    for story in (fill(plot, draw) for _ in range(20)):  # type: ignore[arg-type]
        assert Fraction(programs.run(program(story)).strip()) == story.answer
        assert program(story).count("\n") == len(story.steps)


@pytest.mark.parametrize("name", ["mgsm", "msvamp"])
def test_problems_in_and_out_of_domain_have_programs(name: str) -> None:
    assert all(Fraction(programs.run(program(story)).strip()) == story.answer for story in stories(name))


def test_results_are_taken_over_by_their_letters() -> None:
    """A model that had to write results would do the arithmetic itself."""
    for story in stories("mgsm"):
        lines = program(story).splitlines()
        for number, (line, step) in enumerate(zip(lines, story.steps, strict=False)):
            earlier = [one.result for one in story.steps[:number]]
            if step.left in earlier:
                assert line.split()[2].isalpha(), program(story)


def test_the_mixture_is_half_programs_of_problems_for_training() -> None:
    made = list(islice(mixture(400), 400))
    kinds = [row["source"] for _, row in made]
    assert kinds == ["worked answers", "programs"] * 200
    assert len({key for key, _ in made}) == len({row["question"] for _, row in made}) == 400
    for key, row in made:
        name, *numbers = key.rpartition("/")[0].split()
        assert split_of(" ".join([TOLD[name], *numbers])) == "train"
        asks = row["question"].endswith(ASKED.partition("}")[2])
        assert asks == ("print(" in row["answer"]) == (row["source"] == "programs")
        answer = programs.run(row["answer"]) if asks else row["answer"].rstrip(".").rpartition(" ")[2]
        assert Fraction(answer.strip()).denominator == 1
