"""Replies of an OpenAI-compatible server, validated before they count as answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, get_args

import msgspec

from ..errors import DataError, QAlignError
from ..records import Finish
from ..redaction import redacted
from ..untrusted import parse_json, printable

EXCERPT = 200
"""The most characters of a body in an error."""


class NoAnswerError(QAlignError):
    """A body without an answer of a model. The message says what it holds."""


class WithheldError(QAlignError):
    """An answer withheld by the server's filter. It is never scored."""


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[object] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str


class _Usage(msgspec.Struct):
    completion_tokens: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] | None = None


class _Reply(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1, max_length=1)]
    usage: _Usage | None = None


def read_reply(body: bytes, secrets: Iterable[str] = ()) -> tuple[str, int, Finish]:
    """The text of a reply, its number of tokens, and why it ended.

    The number is 0 where the server gives none. Halves of surrogate pairs stay in the text. An error that quotes the body
    omits `secrets`.

    Raises:
        NoAnswerError: the body is not JSON, has another shape, or does not hold a finished text.
        WithheldError: the server's filter withheld the answer.
    """
    try:
        reply = msgspec.convert(parse_json(body, "the body", half_pairs=True), _Reply)
    except (DataError, msgspec.ValidationError) as error:
        raise NoAnswerError(f"{error}; the body is {excerpt(body, secrets)}") from error
    choice = reply.choices[0]
    if choice.finish_reason == "content_filter":
        raise WithheldError("finish_reason is content_filter")
    if choice.finish_reason not in get_args(Finish):
        raise NoAnswerError(f"finish_reason is '{choice.finish_reason[:40]}', neither stop nor length")
    finish: Finish = "length" if choice.finish_reason == "length" else "stop"
    if choice.message.tool_calls:
        raise NoAnswerError("a call of a tool, which was not offered")
    tokens = (reply.usage.completion_tokens or 0) if reply.usage else 0
    return _text(choice.message, finish), tokens, finish


def _text(message: _Message, finish: Finish) -> str:
    if message.content is not None:
        return message.content
    # A model truncated within its reasoning, or silent after it, has given an empty answer.
    if finish == "length" or message.reasoning or message.reasoning_content:
        return ""
    raise NoAnswerError(f"no text, but a refusal: {message.refusal[:EXCERPT]}" if message.refusal else "no text")


def excerpt(body: bytes, secrets: Iterable[str] = ()) -> str:
    """The start of a body on one line, without secrets, which are removed first."""
    text = " ".join(body[: 16 * EXCERPT].decode("utf-8", errors="replace").split())
    return printable(redacted(text, secrets))[:EXCERPT] or "empty"
