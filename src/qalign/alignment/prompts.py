"""The one prompt, rendered in one place for training and for inference.

The text is Alpaca's without input, for all languages and for translation. The response follows immediately and ends with
the end-of-sequence token. A checkpoint has it as its chat template, so every server gives the model the same prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ModelError
from .encoding import encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .encoding import Ids

PREFIX = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n### Instruction:\n"
)
SUFFIX = "\n\n### Response:"


@dataclass(frozen=True, slots=True)
class Rendered:
    """An example as token ids. The last is the end-of-sequence token."""

    ids: Ids
    prompt_tokens: int
    """The number of tokens that are only read. All later ones are supervised."""


def prompt(instruction: str) -> str:
    """The text of a prompt."""
    return f"{PREFIX}{instruction}{SUFFIX}"


def translation_instruction(source: str, target: str, text: str) -> str:
    """The instruction to translate `text` between languages, by English names."""
    return f"Translate the following sentences from {source} to {target}. {text}"


def chat_template(begin: str) -> str:
    """The prompt as a Jinja chat template, with an expression for the text before the first turn.

    One user turn gives exactly the training prompt, and an assistant turn after it exactly the training example. Its tokens
    that are supervised are those of a `generation` block. A system turn is refused: no model was trained with one.
    """
    return (
        f"{{{{ {begin} }}}}"
        "{%- for message in messages %}"
        "{%- if message['role'] == 'user' %}"
        f"{{{{- {PREFIX!r} + message['content'] + {SUFFIX!r} }}}}"
        "{%- elif message['role'] == 'assistant' %}"
        "{%- generation %}{{- message['content'] + eos_token }}{%- endgeneration %}"
        "{%- else %}{{- raise_exception('this model knows the roles user and assistant only') }}"
        "{%- endif %}{%- endfor %}"
    )


def encode_prompts(prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Whole prompts as token ids, with one beginning-of-sequence token where the tokenizer uses one, and nothing behind them."""
    return [ids.tolist() for ids in _encoded(prompts, tokenizer)]


def _encoded(prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[Ids]:
    return _without_end(encode(tokenizer, prompts), tokenizer)


def render_texts(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[Rendered]:
    """Plain texts as token ids. All tokens but the first are supervised."""
    eos = [end_of_sequence(tokenizer)]
    return [Rendered(_joined(ids, eos), 1) for ids in _without_end(encode(tokenizer, texts), tokenizer)]


def render(instructions: Sequence[str], responses: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[Rendered]:
    """Examples under the study's prompt as token ids, with the place where supervision begins."""
    return render_after([prompt(text) for text in instructions], responses, tokenizer)


def render_after(
    prompts: Sequence[str], responses: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> list[Rendered]:
    """Responses after whole prompts as token ids, with the place where supervision begins.

    Where the tokenizer would merge characters of prompt and response, the response is encoded separately.
    """
    starts = _encoded(prompts, tokenizer)
    eos = [end_of_sequence(tokenizer)]
    whole = encode(tokenizer, [text + answer for text, answer in zip(prompts, responses, strict=True)])
    rendered = []
    for start, ids, response in zip(starts, _without_end(whole, tokenizer), responses, strict=True):
        if len(ids) <= len(start) or (ids[: len(start)] != start).any():
            ids = _joined(start, encode(tokenizer, [response], add_special_tokens=False)[0])
        rendered.append(Rendered(_joined(ids, eos), len(start)))
    return rendered


def end_of_sequence(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id of the end-of-sequence token. Raises ModelError if there is none: a model could never learn to stop."""
    if tokenizer.eos_token_id is None:
        advice = "set eos_token in its tokenizer_config.json"
        raise ModelError(f"the tokenizer of {tokenizer.name_or_path} has no end-of-sequence token; {advice}")
    return int(tokenizer.eos_token_id)


BEGINNINGS = ("''", "bos_token", "bos_token + ' '")
"""What a template may have to write before the prompt, for tokenizers without and with a beginning-of-sequence token.

A SentencePiece tokenizer (LLaMA 2) puts a space before a text, but not before what follows a special token."""


def set_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Sets the training prompt as the chat template. Raises ModelError if none gives the tokens of training."""
    instruction, response = "Translate ১৮ 十八 x\n\ny.", "The answer is: 18"
    example = render([instruction], [response], tokenizer)[0]
    user = {"role": "user", "content": instruction}
    turns = [user, {"role": "assistant", "content": response}]
    for begin in BEGINNINGS:
        if "bos" in begin and tokenizer.bos_token is None:
            continue
        tokenizer.chat_template = chat_template(begin)
        prompt_ids = tokenizer.apply_chat_template([user], add_generation_prompt=True, return_dict=False)
        ids = tokenizer.apply_chat_template(turns, return_dict=False)
        if (prompt_ids, ids) == (example.ids[: example.prompt_tokens].tolist(), example.ids.tolist()):
            return
    raise ModelError(
        f"the tokenizer of {tokenizer.name_or_path} encodes the prompt in a chat template in another way than by itself; use "
        "its fast version, or one that puts no space after the beginning-of-sequence token"
    )


def _joined(first: Ids, second: Ids | list[int]) -> Ids:
    import numpy as np

    return np.concatenate([first, np.asarray(second, dtype=np.int32)])


def _without_end(encoded: list[Ids], tokenizer: PreTrainedTokenizerBase) -> list[Ids]:
    eos = tokenizer.eos_token_id
    return [ids[:-1] if len(ids) > 1 and ids[-1] == eos else ids for ids in encoded]
