"""Removes passwords and keys from all that is shown or written.

A key is recognised in three ways. By its value: from the environment or a server's URL. By its form: `sk-...`, `hf_...`. By
its place: before the host of a URL, in a URL's query, after a word such as `--api-key`.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import parse_qsl, unquote, urlsplit

from .untrusted import printable

HIDDEN = "***"
SHORTEST = 4
"""The least characters of a secret in a message."""
SHORTEST_IN_TEXT = 8
"""The same for a model's answer, which may hold a short word or a number by chance."""

_OF_THE_HUB_AND_SERVERS = ("OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_NAME_OF_A_SECRET = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD)$")
_PLACEHOLDERS = ("none", "null", "true", "false", "empty", "dummy", "test", "token", "key")
"""Common values of a key that is not needed."""

# A part of a URL is looked for within a thousand characters, so that a hostile text of many beginnings takes linear time.
_BEFORE_A_HOST = re.compile(
    r"(?<=://)[^\s'\"]{0,1000}@|(?<![^\s'\"=(])[^\s'\"/@:=]{1,1000}:[^\s'\"/@]{1,1000}@(?=[\w.-]+[:/])"
)
_QUERY = re.compile(r"(\w://[^\s?'\"]{0,1000}\?)([^\s'\"]+)")
_VALUE = re.compile(r"(?<==)[^&;#]*|(?:(?<=^)|(?<=[&;]))[^=&;#]+(?=[&;#]|$)")
"""A value in a query, with or without a name."""
_OF_PATH = re.compile(r"(\w://[^\s?#'\"]{0,1000};[\w.-]+=)[^\s/;?#'\"]+")
"""A parameter in a URL's path."""
_BETWEEN = r"(?:\s|\\{1,4}[nrt]|[\u200b-\u200d\u2060\ufeff]|\\{1,4}u(?:200[b-d]|2060|feff))*"
"""White space that a server may put into a secret."""
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
    """The text with `***` for every secret known by form, by place, or by value: those given and those of the environment."""
    text = without(text, {*secrets, *_of_environment()}, SHORTEST)
    text = _BEFORE_A_HOST.sub(HIDDEN + "@", text)
    text = _OF_PATH.sub(rf"\1{HIDDEN}", text)
    text = _QUERY.sub(lambda match: match[1] + _VALUE.sub(HIDDEN, match[2]), text)
    return _HEADER.sub(rf"\1{HIDDEN}", _FORM.sub(HIDDEN, text))


def redacted_command(words: Iterable[str]) -> list[str]:
    """A command line for a file, without secrets or characters outside UTF-8."""
    kept: list[str] = []
    for word in words:
        after_option = bool(kept) and _OPTION.fullmatch(f"{kept[-1]} {word}") is not None
        word = _OPTION.sub(rf"\1{HIDDEN}", _NAMED.sub(rf"\1{HIDDEN}", redacted(word)))
        kept.append(HIDDEN if after_option else printable(word))
    return kept


def without(text: str, secrets: Iterable[str], shortest: int) -> str:
    """The text with `***` for secrets, also escaped, encoded, split or in other case."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= shortest and secret.lower() not in _PLACEHOLDERS:
            text = _disguises(secret).sub(HIDDEN, text)
    return text


@lru_cache(maxsize=64)
def _disguises(secret: str) -> re.Pattern[str]:
    """A pattern for all written forms of a secret."""
    data = secret.encode(errors="replace")
    forms = [_BETWEEN.join(map(_character, secret))]
    if len(data) >= SHORTEST_IN_TEXT:
        forms.append(rf"(?:0x)?{data.hex()}")
        # What stands before a text in base64 moves its bits: three forms, less the characters that a neighbour decides.
        for before in range(3):
            encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
            inner = encoded[(0, 2, 3)[before] : (8 * (before + len(data))) // 6]
            either = "".join({"+": "[+-]", "/": "[/_]"}.get(character, character) for character in inner)
            forms.append(rf"(?-i:{either})")
    return re.compile("|".join(forms), re.IGNORECASE)


def _character(character: str) -> str:
    """A pattern for a character of a secret, plain or escaped for JSON, URL or HTML."""
    data = character.encode("utf-16-be", "surrogatepass")
    units = "".join(rf"\\{{1,4}}u{high:02x}{low:02x}" for high, low in zip(data[::2], data[1::2], strict=True))
    url = "".join(f"%(?:25){{0,3}}{byte:02x}" for byte in character.encode(errors="replace"))
    html = rf"&\#(?:0{{0,4}}{ord(character)}|x0{{0,4}}{ord(character):x});"
    short = rf"|\\{{1,4}}x{ord(character):02x}" if ord(character) < 256 else ""
    return rf"(?:\\{{0,4}}{re.escape(character)}|{units}|{url}|{html}{short})"


def secrets_of_url(url: str) -> set[str]:
    """The possible secrets of a URL: its user, its password, its query values."""
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
