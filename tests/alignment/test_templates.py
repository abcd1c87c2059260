"""The prompts of the compared systems, to the letter, and what is learnt under them."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from qalign.alignment.prompts import prompt
from qalign.alignment.templates import TEMPLATES, ExampleConfig, TemplateName
from qalign.errors import SettingError
from qalign.generation import DecodingConfig, Request
from qalign.records import Example, sha256, to_json
from qalign.training.config import TrainingConfig
from qalign.training.tokens import tokenize

TASK = "Below is an instruction that describes a task"
INPUT = f"{TASK}, paired with an input that provides further context. "
COMPLETES = "Write a response that appropriately completes the request"
PLAIN, RESPONSE = f"{TASK}. {COMPLETES}.\n\n### Instruction:\n", "\n\n### Response:"
EXAMPLE = Example("7", "th", "corpus", "กี่ลูก?", "7 ลูก")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("study", f"{PLAIN}Q?{RESPONSE}"),
        ("metamath-training", f"{PLAIN}Q?{RESPONSE}"),
        ("step-by-step", f"{PLAIN}Q?{RESPONSE} Let's think step by step."),
        ("program", f"{PLAIN}Q? Let's write a program.{RESPONSE}"),
        ("mathoctopus", f"{TASK}. {COMPLETES} in Thai. Please answer in Thai.\n\n### Instruction:\nQ?{RESPONSE}"),
        ("python", f"{TASK}. {COMPLETES} in Python. Please answer in Python.\n\n### Instruction:\nQ?{RESPONSE}"),
        (
            "python-comments",
            f"{TASK}. {COMPLETES} in Python with inline comments in Thai. Please answer in Python with inline comments in Thai."
            f"\n\n### Instruction:\nQ?{RESPONSE}",
        ),
    ],
)
def test_a_prompt_to_the_letter(name: TemplateName, text: str) -> None:
    assert TEMPLATES[name].prompt("Q?", "Thai") == text
    assert TEMPLATES[name].names_language == ("Thai" in text)


def test_the_study_s_template_is_the_study_s_prompt() -> None:
    assert TEMPLATES["study"].prompt("a\nb {language}", "Thai") == prompt("a\nb {language}")


def test_what_a_question_holds_is_not_filled_in() -> None:
    """A question may hold braces, and the very words of a template's slots."""
    question = "{language} {question} {first}{rest} \\1 {0}"
    assert question in TEMPLATES["mathoctopus"].prompt(question, "Thai")
    split = TEMPLATES["metamath-training"].prompt("{rest}\n{first}", "Thai")
    assert split == f"{INPUT}{COMPLETES}.\n\n### Instruction:\n{{rest}}\n\n### Input:\n{{first}}{RESPONSE}"


def test_only_the_first_line_break_splits_a_question() -> None:
    split = TEMPLATES["metamath-training"].prompt("one\ntwo\nthree", "Thai")
    assert split.endswith(f"### Instruction:\none\n\n### Input:\ntwo\nthree{RESPONSE}")


def test_an_example_keeps_its_question_and_carries_its_prompt() -> None:
    octopus = ExampleConfig(template="mathoctopus")
    made = octopus.example(EXAMPLE, "Thai")
    assert made == replace(EXAMPLE, prompt=TEMPLATES["mathoctopus"].prompt("กี่ลูก?", "Thai"))
    assert ExampleConfig().example(EXAMPLE, "Thai") == EXAMPLE
    assert "prompt" not in to_json(EXAMPLE) and "prompt" in to_json(made)
    text = replace(EXAMPLE, instruction=None)
    assert ExampleConfig(template="mathoctopus", loss="everything").example(text, "Thai") == text, (
        "plain text has no prompt"
    )


def test_the_loss_is_on_the_answer_or_on_everything() -> None:
    pytest.importorskip("tokenizers")
    from qalign.models.tiny import train_tokenizer

    tokenizer = train_tokenizer(["Below is an instruction that describes a task. Anna has 3 apples."], 300)
    template = TEMPLATES["mathoctopus"]
    config = TrainingConfig(max_length=2048, precision="float32")
    answer, everything = (
        tokenize([form.example(EXAMPLE, "Thai")], tokenizer, config)
        for form in (ExampleConfig(template="mathoctopus"), ExampleConfig(template="mathoctopus", loss="everything"))
    )
    read, text = template.prompt("กี่ลูก?", "Thai"), tokenizer.decode
    assert text(answer.ids[1 : answer.prompt_tokens[0]]) == read
    assert text(answer.ids[answer.prompt_tokens[0] : -1]) == "7 ลูก"
    assert text(everything.ids[1:-1]) == f" {read} 7 ลูก", "as published, with blanks"
    assert everything.prompt_tokens.tolist() == [1] and everything.ids[-1] == tokenizer.eos_token_id


def test_a_request_is_known_by_the_prompt_that_was_read() -> None:
    plain, own = Request("k", "Q?"), Request("k", "Q?", "Frage: Q?")
    assert (plain.prompt, own.prompt) == (prompt("Q?"), "Frage: Q?")
    assert own.answered("7", 1, "stop").prompt_sha256 == sha256("Frage: Q?")


def test_an_unknown_template_is_refused() -> None:
    for made in (
        lambda: DecodingConfig(max_new_tokens=1, template="octopus"),
        lambda: ExampleConfig(template="octopus"),
    ):
        with pytest.raises(SettingError, match="unknown template 'octopus': did you mean 'mathoctopus'"):
            made()


def test_every_name_has_its_row() -> None:
    assert list(TEMPLATES) == list(get_args(TemplateName))
