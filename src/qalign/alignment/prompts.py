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


def chat_template(begin: str) -> str:
    """The prompt as a Jinja chat template. `begin` is what stands before the first turn, as a Jinja expression.

    One user turn gives exactly the training prompt; an assistant turn after it, exactly the training example. Further
    turns follow in the same frame. A system turn is refused: no model was trained with one.
    """
    return (
        f"{{{{ {begin} }}}}"
        "{%- for message in messages %}"
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
    encoded = encode(tokenizer, [prompt(text) for text in instructions])
    return [_without_end(ids, tokenizer) for ids in encoded]


def render_texts(texts: Sequence[str], tokenizer: Any) -> list[Rendered]:
    """Plain texts as token ids, for a base model: the beginning-of-sequence token (or, without one, the first token) is
    read, all behind it is supervised, the end-of-sequence token included."""
    if not texts:
        return []
    eos = end_of_sequence(tokenizer)
    return [Rendered([*_without_end(ids, tokenizer), eos], 1) for ids in encode(tokenizer, texts)]


def render(instructions: Sequence[str], responses: Sequence[str], tokenizer: Any) -> list[Rendered]:
    """Examples as token ids with the place where supervision begins.

    The prompt's ids are exactly those of `render_prompts`. Where the tokenizer joins characters across the border
    between prompt and response, the response is encoded by itself instead, so that this always holds.
    """
    prompts = render_prompts(instructions, tokenizer)
    if not prompts:
        return []
    eos = end_of_sequence(tokenizer)
    whole = encode(tokenizer, [prompt(text) + answer for text, answer in zip(instructions, responses, strict=True)])
    rendered = []
    for start, ids, response in zip(prompts, whole, responses, strict=True):
        ids = _without_end(ids, tokenizer)
        if ids[: len(start)] != start or len(ids) == len(start):
            ids = start + encode(tokenizer, [response], add_special_tokens=False)[0]
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


BEGINNINGS = ("''", "bos_token", "bos_token + ' '")
"""What a template may have to write before the prompt, for tokenizers without and with a beginning-of-sequence token.
A SentencePiece tokenizer (LLaMA 2) puts a space before a text, but not before what follows a special token."""


def set_chat_template(tokenizer: Any) -> None:
    """Gives the tokenizer the training prompt as its chat template, and makes sure that it is exactly that.

    Raises:
        ModelError: no template would give the tokens of training.
    """
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
        if (prompt_ids, ids) == (example.ids[: example.prompt_tokens], example.ids):
            return
    raise ModelError(
        f"the tokenizer of {tokenizer.name_or_path} encodes the prompt inside a chat template in another way than by "
        "itself; use the tokenizer's fast version, or one that puts no space after the beginning-of-sequence token"
    )


def encode(tokenizer: Any, texts: Sequence[str], add_special_tokens: bool = True) -> list[list[int]]:
    """Texts as token ids. What looks like a special token in a text is text: data cannot end a sequence.

    A tokenizer of the library tokenizers is asked directly: what transformers puts around its answers (masks, offsets,
    dictionaries) takes as long as they do. Nothing is cut off or filled up.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        options = {"split_special_tokens": True, "add_special_tokens": add_special_tokens}
        encoded: list[list[int]] = tokenizer(list(texts), **options)["input_ids"]
        return encoded
    backend.encode_special_tokens = True
    backend.no_truncation()
    backend.no_padding()
    return [one.ids for one in backend.encode_batch_fast(list(texts), add_special_tokens=add_special_tokens)]


def _without_end(ids: list[int], tokenizer: Any) -> list[int]:
    return ids[:-1] if len(ids) > 1 and ids[-1] == tokenizer.eos_token_id else ids
