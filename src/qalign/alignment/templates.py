"""The prompt templates: how a question becomes the text that a model reads, one row each.

The study trains and asks all its systems in one template. The systems that it compares with had others. Their texts are those
of the published code: microsoft/MathOctopus, meta-math/MetaMath, TIGER-AI-Lab/MAmmoTH, calzonelover/xpot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import SettingError, nearest
from ..records import Example
from ..untrusted import printable
from .prompts import PREFIX, SUFFIX

TemplateName = Literal[
    "study", "metamath-training", "step-by-step", "program", "mathoctopus", "python", "python-comments", "python-english"
]  # fmt: skip
STUDY: TemplateName = "study"
_SLOT = re.compile(r"\{(question|language|first|rest)\}")
_IN_LANGUAGE = PREFIX.replace("request.", "request in {language}. Please answer in {language}.")
_WITH_INPUT = PREFIX.replace("a task. ", "a task, paired with an input that provides further context. ")


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt around `{question}`. It may name `{language}`, the language of the answer."""

    name: TemplateName
    text: str
    of_lines: str | None = None
    """The prompt of a question with a line break, around its `{first}` line and the `{rest}`."""

    @property
    def names_language(self) -> bool:
        """Whether prompts in two languages differ by more than their questions."""
        return "{language}" in self.text

    def prompt(self, question: str, language: str) -> str:
        """The prompt of a question that is to be answered in a language, by its English name."""
        first, _, rest = question.partition("\n")
        slots = {"question": question, "language": language, "first": first, "rest": rest}
        text = self.of_lines if rest and self.of_lines is not None else self.text
        return _SLOT.sub(lambda slot: slots[slot[1]], text)


def _named(what: str) -> str:
    return _IN_LANGUAGE.replace("{language}", what) + "{question}" + SUFFIX


TEMPLATES: Mapping[TemplateName, Template] = {
    row.name: row
    for row in (
        Template(STUDY, f"{PREFIX}{{question}}{SUFFIX}"),
        Template(
            "metamath-training",
            f"{PREFIX}{{question}}{SUFFIX}",
            f"{_WITH_INPUT}{{first}}\n\n### Input:\n{{rest}}{SUFFIX}",
        ),
        Template("step-by-step", f"{PREFIX}{{question}}{SUFFIX} Let's think step by step."),
        Template("program", f"{PREFIX}{{question}} Let's write a program.{SUFFIX}"),
        Template("mathoctopus", _named("{language}")),
        Template("python", _named("Python")),
        Template("python-comments", _named("Python with inline comments in {language}")),
        Template("python-english", _named("Python with inline comments in English")),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleConfig:
    """How questions with answers become examples."""

    template: TemplateName = STUDY
    """The prompt around a question."""
    loss: Literal["answer", "everything"] = "answer"
    """The tokens that are learnt: those of the answer, or those of prompt and answer, as MathOctopus was trained."""

    def __post_init__(self) -> None:
        check_template(self.template)

    def example(self, example: Example, language: str) -> Example:
        """The example under the template, for an answer in a language, by its English name.

        With the loss on everything it is a plain text as MathOctopus had it: a blank, the prompt, a blank, the answer.
        """
        if example.instruction is None:
            return example
        prompt = TEMPLATES[self.template].prompt(example.instruction, language)
        if self.loss == "everything":
            return replace(example, instruction=None, response=f" {prompt} {example.response}")
        return example if self.template == STUDY else replace(example, prompt=prompt)


def check_template(name: str) -> None:
    """Raises SettingError where there is no template of that name."""
    if name not in TEMPLATES:
        raise SettingError(f"unknown template '{printable(name)}': {nearest(name, TEMPLATES)}")
