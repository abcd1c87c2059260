"""Passwords and keys: taken out of what is shown or written down.

A key is known by its value (of the environment, of a server's URL), by its form (`sk-...`, `hf_...`), or by its place:
before the host of a URL, in a URL's query, behind a word such as `--api-key`.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from .untrusted import printable

HIDDEN = "***"
SHORTEST = 4
"""Characters of the shortest secret that is looked for in a message."""
SHORTEST_IN_TEXT = 8
"""The same in a model's answer, which may hold a short word or a number by chance."""

_OF_THE_HUB_AND_SERVERS = ("OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_NAME_OF_A_SECRET = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD)$")
_PLACEHOLDERS = ("none", "null", "true", "false", "empty", "dummy", "test", "token", "key")
"""What people set in place of a key where none is needed."""

_BEFORE_A_HOST = re.compile(r"(?<=://)[^\s'\"]*@|(?<![^\s'\"=(])[^\s'\"/@:=]+:[^\s'\"/@]+@(?=[\w.-]+[:/])")
_QUERY = re.compile(r"(\w://[^\s?'\"]*\?)([^\s'\"]+)")
_VALUE = re.compile(r"(?<==)[^&;#]*")
_FORM = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-[\w-]{6,}|hf_(?!transfer|hub_)[A-Za-z0-9]{8,}|gh[pousr]_\w{16,}|AKIA[0-9A-Z]{12,}|AIza[\w-]{16,}|eyJ[\w-]{8,}\.[\w.-]+)"
)
_HEADER = re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?(?:bearer|basic)\s+)[^\s'\"]+")
_NAMED = re.compile(
    r"(?i)(?<![a-z0-9])((?:[a-z0-9]+[_.-])*(?:api_?key|key|token|secret|password|passwd|pwd|credentials?)(?:\s*=\s*|\s*:\s+))(\S+)"
)
_OPTION = re.compile(
    r"(?i)(--?(?:[a-z0-9]+[_-])*(?:api-?key|key|token|secret|password|passwd|pwd|credentials?)(?:\s+|=))(\S+)"
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with `***` in the place of every secret that is known by its value, its form or its place.

    Args:
        text: a message.
        secrets: values that are known besides those of the environment.
    """
    text = without(text, {*secrets, *_of_environment()}, SHORTEST)
    text = _BEFORE_A_HOST.sub(HIDDEN + "@", text)
    text = _QUERY.sub(lambda match: match[1] + _VALUE.sub(HIDDEN, match[2]), text)
    return _HEADER.sub(rf"\1{HIDDEN}", _FORM.sub(HIDDEN, text))


def redacted_command(words: Iterable[str]) -> list[str]:
    """A command line as it may be kept in a file: without secrets, and without characters that have no UTF-8."""
    kept: list[str] = []
    for word in words:
        after_option = bool(kept) and _OPTION.fullmatch(f"{kept[-1]} {word}") is not None
        word = _OPTION.sub(rf"\1{HIDDEN}", _NAMED.sub(rf"\1{HIDDEN}", redacted(word)))
        kept.append(HIDDEN if after_option else printable(word))
    return kept


def without(text: str, secrets: Iterable[str], shortest: int) -> str:
    """The text with `***` in the place of secrets, also where they stand URL-encoded."""
    for secret in sorted({form for one in secrets for form in (one, quote(one, safe=""))}, key=len, reverse=True):
        if len(secret) >= shortest and secret.lower() not in _PLACEHOLDERS:
            text = text.replace(secret, HIDDEN)
    return text


def secrets_of_url(url: str) -> set[str]:
    """The values in a URL that may be secret: its user, its password, and the values of its query."""
    try:
        parts = urlsplit(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        return set()
    of_query = {value for _, value in parse_qsl(parts.query, keep_blank_values=True)}
    as_header = base64.b64encode(f"{user}:{password}".encode(errors="replace")).decode()
    return {value for value in (user, password, as_header if user or password else "", *of_query) if value}


def _of_environment() -> set[str]:
    return {
        value.strip()
        for name, value in os.environ.items()
        if name in _OF_THE_HUB_AND_SERVERS or (_NAME_OF_A_SECRET.search(name) and len(value) >= SHORTEST_IN_TEXT)
    }
