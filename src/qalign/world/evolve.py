"""Problems evolved from others, as WizardMath's Evol-Instruct makes them (arXiv 2308.09583): harder, easier, and other ones.

A harder problem has more operations than the one that it is made of, an easier one has fewer, and another one as many. Each is
a story, so its answer is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle

from .draw import Draw
from .grammar import grammar
from .plots import PLOTS, Story, fill

KINDS = ("harder", "easier", "other")


def _kind(more: int) -> str:
    return "harder" if more > 0 else "easier" if more < 0 else "other"


def evolved(stories: Sequence[Story], count: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Ids and rows of different English problems for training, made of those of a set in turn. None is in the set."""
    draw, english = Draw("world evolved"), grammar("en")
    plots = [plot for plot in PLOTS if plot.domain == "in"]
    steps = {plot.name: len(fill(plot, draw).steps) for plot in plots}
    seen = {story.signature for story in stories}
    made = 0
    for number, story in enumerate(cycle(stories)):
        if made == count:
            return
        kind, own = KINDS[number % len(KINDS)], len(story.steps)
        fitting = [plot for plot in plots if _kind(steps[plot.name] - own) == kind]
        new = fill(draw.one(fitting), draw, native_share=0) if fitting else story
        if new.split == "train" and new.signature not in seen:
            seen.add(new.signature)
            made += 1
            yield (
                f"{new.signature}/{kind}",
                {
                    "question": english.question(new),
                    "answer": english.solution(new),
                    "gold": str(new.answer),
                    "source": kind,
                },
            )
