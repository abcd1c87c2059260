"""The one prompt, rendered in one place for training and for inference.

The text is Alpaca's without input, as the study uses it for every language and for translation alike; the response
follows at once and ends with the end-of-sequence token. Saved with a checkpoint as its chat template, it is what any
server that applies the template (transformers, vLLM) gives the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ModelError

PREFIX = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n### Instruction:\n"
)
SUFFIX = "\n\n### Response:"
TRANSLATION = "Translate the following sentences from {source} to {target}."


@dataclass(frozen=True, slots=True)
class Rendered:
    """An example as token ids. Positions before `prompt_tokens` are read, those from it on are supervised; the last
    is the end-of-sequence token."""

    ids: list[int]
    prompt_tokens: int


def prompt(instruction: str) -> str:
    """The text a model reads before it answers."""
    return f"{PREFIX}{instruction}{SUFFIX}"


def translation_instruction(source: str, target: str, text: str) -> str:
    """The instruction to translate `text`; languages by their English names."""
    return f"{TRANSLATION.format(source=source, target=target)} {text}"


def chat_template(begins_with: str) -> str:
    """The prompt as a Jinja chat template. `begins_with` is the beginning-of-sequence token, empty if there is none.

    One user turn gives exactly the training prompt; an assistant turn after it, exactly the training example. Further
    turns follow in the same frame. A system turn is refused: no model was trained with one.
    """
    begin = "{{ bos_token }}" if begins_with else ""
    return (
        begin + "{%- for message in messages %}"
        "{%- if message['role'] == 'user' %}"
        f"{{{{- {_jinja(PREFIX)} + message['content'] + {_jinja(SUFFIX)} }}}}"
        "{%- elif message['role'] == 'assistant' %}"
        "{{- message['content'] + eos_token }}"
        "{%- else %}{{- raise_exception('this model knows the roles user and assistant only') }}"
        "{%- endif %}{%- endfor %}"
    )


def _jinja(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def render_prompts(instructions: Sequence[str], tokenizer: Any) -> list[list[int]]:
    """Prompts as token ids, the beginning-of-sequence token (where the tokenizer has the habit of one) exactly once.

    `tokenizer` is a transformers tokenizer. What the tokenizer would append (some add an end-of-sequence token) is left
    off: the response follows at once.
    """
    if not instructions:
        return []
    encoded: list[list[int]] = tokenizer([prompt(text) for text in instructions])["input_ids"]
    return [_without_end(ids, tokenizer) for ids in encoded]


def render(instructions: Sequence[str], responses: Sequence[str], tokenizer: Any) -> list[Rendered]:
    """Examples as token ids with the place where supervision begins.

    The prompt's ids are exactly those of `render_prompts`. Where the tokenizer joins characters across the border
    between prompt and response, the response is encoded by itself instead, so that this always holds.
    """
    prompts = render_prompts(instructions, tokenizer)
    if not prompts:
        return []
    eos = end_of_sequence(tokenizer)
    whole: list[list[int]] = tokenizer(
        [prompt(text) + response for text, response in zip(instructions, responses, strict=True)]
    )["input_ids"]
    rendered = []
    for start, ids, response in zip(prompts, whole, responses, strict=True):
        ids = _without_end(ids, tokenizer)
        if ids[: len(start)] != start or len(ids) == len(start):
            ids = start + tokenizer(response, add_special_tokens=False)["input_ids"]
        rendered.append(Rendered([*ids, eos], len(start)))
    return rendered


def end_of_sequence(tokenizer: Any) -> int:
    """The id of the end-of-sequence token.

    Raises:
        ModelError: the tokenizer has none, so that a model could never learn to stop.
    """
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"the tokenizer of {tokenizer.name_or_path} has no end-of-sequence token; set eos_token in its "
            "tokenizer_config.json"
        )
    return int(tokenizer.eos_token_id)


def set_chat_template(tokenizer: Any) -> None:
    """Gives the tokenizer the training prompt as its chat template, and makes sure that it is exactly that.

    Raises:
        ModelError: the template would give other tokens than training saw.
    """
    probe = "Translate ১৮ 十八 x\n\ny."
    expected = render_prompts([probe], tokenizer)[0]
    begins = tokenizer.bos_token_id is not None and expected[:1] == [tokenizer.bos_token_id]
    tokenizer.chat_template = chat_template(tokenizer.bos_token if begins else "")
    given = tokenizer.apply_chat_template([{"role": "user", "content": probe}], add_generation_prompt=True)
    if list(given["input_ids"] if hasattr(given, "keys") else given) != expected:
        raise ModelError(
            f"the tokenizer of {tokenizer.name_or_path} encodes the prompt inside a chat template in another way than by "
            "itself; use the tokenizer's fast version, or one that puts no space after the beginning-of-sequence token"
        )


def _without_end(ids: list[int], tokenizer: Any) -> list[int]:
    return ids[:-1] if len(ids) > 1 and ids[-1] == tokenizer.eos_token_id else ids
