"""Programs for the world's problems, and a mixture of worked answers and programs, as MathInstruct has it (arXiv 2309.05653).

A program has a line for each operation of a story. What an operation takes over from an earlier one stands by its letter, so
the arithmetic is left to whoever runs the program.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ..numbers import plain_number
from .draw import Draw
from .grammar import grammar
from .plots import PLOTS, Step, Story, fill

ASKED = "{question} Let's write a program."
"""How a program is asked for, in MathInstruct and here."""
_SIGNS = str.maketrans("×÷", "*/")


def program(story: Story) -> str:
    """A program that prints the answer of a story."""
    lines, results = [], dict[Fraction, str]()
    for letter, step in zip("abcdefghijklmnopqrstuvwxyz", story.steps, strict=False):
        stated = _stated(story, step)
        left = results.get(step.left) or plain_number(step.left)
        right = (
            plain_number(step.right) if step.right in stated else results.get(step.right) or plain_number(step.right)
        )
        lines.append(f"{letter} = {left} {step.sign.translate(_SIGNS)} {right}")
        results[step.result] = letter
    return "\n".join([*lines, f"print({results.get(story.answer) or plain_number(story.answer)})"])


def _stated(story: Story, step: Step) -> tuple[Fraction | None, Fraction | None]:
    """The numbers that the event of an operation states itself."""
    event = story.events[min(step.event, len(story.events) - 1)]
    return event.n, event.k


def mixture(count: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Ids and rows of different English problems for training, every second one with a program."""
    draw, english = Draw("world programs"), grammar("en")
    plots = [plot for plot in PLOTS if plot.domain == "in"]
    asked: dict[str, None] = {}
    while len(asked) < count:
        story = fill(draw.one(plots), draw, native_share=0)
        question = english.question(story)
        if story.split != "train" or question in asked:
            continue
        number = len(asked)
        asked[question] = None
        row = {"question": question, "answer": english.solution(story), "source": "worked answers"}
        if number % 2:
            row = {"question": ASKED.format(question=question), "answer": program(story), "source": "programs"}
        yield f"{story.signature}/{number}", row
