"""English problems derived from a problem, as MetaMathQA does (arXiv 2309.12284).

Section 3 there has them rephrased or backward. In a backward problem a number of the story is unknown and the result is
known, as in self-verification, arXiv 2212.09561, and FOBAR, arXiv 2308.07758.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Literal

from .grammar import grammar, plain
from .languages.en import BACKWARD, KNOWN, UNKNOWN
from .plots import Event, Step, Story

Pair = tuple[str, str]

_BACK: dict[str, Literal["+", "-", "×", "÷"]] = {"+": "-", "-": "+", "×": "÷"}
_CHAIN = frozenset({"buy", "find", "lose", "sell", "give", "times"})


def rephrased(story: Story) -> Pair:
    """The same problem, with the second phrasing of each sentence."""
    english = grammar("en")
    events = tuple(replace(event, phrasing=1 - event.phrasing) for event in story.events)
    return english.question(replace(story, events=events)), english.solution(story)


def backward(story: Story) -> Pair | None:
    """The problem with an unknown first number and a known answer, as in FOBAR.

    None for a story that does not start from one number.
    """
    if not _runs_on(story):
        return None
    question = f"{_with_unknown(story, len(story.events))} {BACKWARD.format(n=story.answer)}"
    return question, _worked_backward(story)


def self_verification(story: Story) -> Pair | None:
    """The problem with an unknown first number and the answer stated as a fact.

    None as for `backward`.
    """
    if not _runs_on(story):
        return None
    question = f"{_with_unknown(story, len(story.events) - 1)} {_end(story)} {UNKNOWN}"
    return question, _worked_backward(story)


def statement(story: Story) -> str:
    """The answer stated as a fact, as self-verification says it. Empty as `backward` is None."""
    return _end(story) if _runs_on(story) else ""


def worked_backward(story: Story) -> str:
    """The worked answer to both backward problems. Empty as `backward` is None."""
    return _worked_backward(story) if _runs_on(story) else ""


def _runs_on(story: Story) -> bool:
    first, *middle, last = story.events
    return first.kind == "have" and last.kind == "ask_now" and all(event.kind in _CHAIN for event in middle)


def _with_unknown(story: Story, count: int) -> str:
    events = (replace(story.events[0], n=None), *story.events[1:count])
    return " ".join(grammar("en").say(event) for event in events)


def _end(story: Story) -> str:
    english, first = grammar("en"), story.events[0]
    return KNOWN.format(
        who=english.people[first.who], n=story.answer, items=english.things[first.item][story.answer != 1]
    )


def _worked_backward(story: Story) -> str:
    """The worked answer from end to start: each fact, and its operation inverted."""
    english = grammar("en")
    lines, value = [_end(story)], story.answer
    for step in reversed(story.steps):
        undone = _undo(step, value)
        lines += [english.say(_plain(story, step)), english.compute(undone)]
        value = undone.result
    assert value == story.events[0].n, f"{story.plot} does not lead back to where it began"
    return " ".join([*lines, english.conclude(value)])


def _plain(story: Story, step: Step) -> Event:
    return plain(story.events[step.event])


def _undo(step: Step, value: Fraction) -> Step:
    return replace(step, left=value, sign=_BACK[step.sign], result=step.left)
