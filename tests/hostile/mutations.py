"""Known faults of texts, bytes and JSON values: what is done to a valid input, so that what must come of it is known."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

Path = tuple[str | int, ...]
"""Where a value stands in a JSON value: keys and places."""

_RAW = "@@raw@@"

DEEP = "[" * 20000 + "]" * 20000
DEEP_OBJECT = '{"a":' * 20000 + "1" + "}" * 20000

# Never right, whatever a value should be: JSON text, and what a refusal may call it.
NEVER_RIGHT = {
    "nan": "NaN",
    "infinity": "-Infinity",
    "overflow": "1e400",
    "deep": DEEP,
    "surrogate": '"a\\ud800b"',
    "bare-word": "undefined",
}
# Right for a value of this type alone.
OF_TYPE = {
    "null": "null",
    "true": "true",
    "minus": "-1",
    "half": "1.5",
    "text": '"x"',
    "empty-text": '""',
    "digits": '"7"',
    "list": "[]",
    "list-of-null": "[null]",
    "object": "{}",
    "object-of-list": '{"x": []}',
}
JSON_WORDS = ("JSON", "nested", "surrogate", "not a number", "too large", "twice")


def dumps(value: Any, at: Path | None = None, raw: str = "null") -> str:
    """The JSON of a value; at one place stands raw text instead."""
    if at is None:
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(replaced(value, at, _RAW), ensure_ascii=False).replace(f'"{_RAW}"', raw)


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where values stand, inner ones after those that hold them; the whole is none of them."""
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield (*path, key)
        yield from places(below, (*path, key))


def at(value: Any, path: Path) -> Any:
    """The value at a place."""
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy with another value at a place."""
    return _changed(value, path, lambda holder, key: holder.__setitem__(key, new))


def removed(value: Any, path: Path) -> Any:
    """A copy without the value at a place."""
    return _changed(value, path, lambda holder, key: holder.__delitem__(key))


def _changed(value: Any, path: Path, change: Callable[[Any, Any], None]) -> Any:
    copy = json.loads(json.dumps(value))
    change(at(copy, path[:-1]), path[-1])
    return copy


def wrong_for(value: Any) -> dict[str, str]:
    """JSON texts that are wrong where `value` stands: of another type, or never right."""
    same: dict[type, tuple[str, ...]] = {
        type(None): ("null", "minus", "half", "text", "empty-text", "digits"),
        bool: ("true",),
        int: ("minus",),
        float: ("minus", "half"),
        str: ("text", "empty-text", "digits"),
        list: ("list", "list-of-null"),
        dict: ("object", "object-of-list"),
    }
    return {**{name: text for name, text in OF_TYPE.items() if name not in same[type(value)]}, **NEVER_RIGHT}


def with_key_twice(value: dict[str, Any], key: str, other: str) -> str:
    """The JSON of an object in which a key stands a second time, with another value."""
    return f"{json.dumps(value, ensure_ascii=False)[:-1]}, {json.dumps(key)}: {other}}}"


Bytes = Callable[[bytes], bytes]

# What is done to the bytes of a text file of many lines: None is expected to be refused or to change nothing.
FILE_FAULTS: dict[str, tuple[Bytes, bool | None]] = {
    "bom": (lambda b: b"\xef\xbb\xbf" + b, True),
    "bom-twice": (lambda b: b"\xef\xbb\xbf" * 2 + b, None),
    "crlf": (lambda b: b.replace(b"\n", b"\r\n"), True),
    "no-last-newline": (lambda b: b.rstrip(b"\n"), True),
    "cr-only": (lambda b: b.replace(b"\n", b"\r"), None),
    "utf-16": (lambda b: b.decode().encode("utf-16"), False),
    "utf-16-be": (lambda b: b.decode().encode("utf-16-be"), False),
    "utf-32": (lambda b: b.decode().encode("utf-32"), False),
    "latin-1": (lambda b: b.decode().encode("latin-1", "replace").replace(b"e", b"\xe9"), False),
    "empty": (lambda b: b"", False),
    "only-newlines": (lambda b: b"\n\n\n", False),
    "only-nul": (lambda b: b"\0" * 512, False),
    "nul-at-the-end": (lambda b: b + b"\0" * 512, False),
    "half-a-line": (lambda b: b[: b.rstrip(b"\n").rindex(b"\n") + 12], False),
    "high-bit": (lambda b: bytes((*b[: len(b) // 2], b[len(b) // 2] | 0x80, *b[len(b) // 2 + 1 :])), False),
    "overlong-utf8": (lambda b: b.replace(b"e", b"\xc1\xa5", 1), False),
    "surrogate-in-utf8": (lambda b: b.replace(b"e", b"\xed\xa0\x80", 1), False),
    "gzip-under-plain-name": (gzip.compress, False),
    "html": (lambda b: b"<!DOCTYPE html><html><body>Sign in</body></html>\n", False),
    "git-lfs-pointer": (lambda b: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", False),
}  # fmt: skip

GZIP_FAULTS: dict[str, tuple[Bytes, bool | None]] = {
    "plain-under-gz-name": (lambda b: b, False),
    "cut": (lambda b: gzip.compress(b, mtime=0)[:-9], False),
    "cut-to-the-header": (lambda b: gzip.compress(b, mtime=0)[:10], False),
    "empty": (lambda b: b"", False),
    "wrong-check-sum": (lambda b: gzip.compress(b, mtime=0)[:-8] + b"\0" * 8, False),
    "bit-in-the-middle": (lambda b: (z := gzip.compress(b, mtime=0))[: len(z) // 2] + bytes((z[len(z) // 2] ^ 16,)) + z[len(z) // 2 + 1 :], False),
    "garbage-behind": (lambda b: gzip.compress(b, mtime=0) + b"garbage", False),
    "nul-behind": (lambda b: gzip.compress(b, mtime=0) + b"\0" * 64, True),
    "two-members": (lambda b: gzip.compress(b[: len(b) // 2], mtime=0) + gzip.compress(b[len(b) // 2 :], mtime=0), True),
    "twice": (lambda b: gzip.compress(gzip.compress(b, mtime=0)), False),
    "wrong-method": (lambda b: (z := gzip.compress(b, mtime=0))[:2] + b"\x07" + z[3:], False),
}  # fmt: skip


STEERING_NAMES = (
    "esc\x1b[31mred",
    "osc52\x1b]52;c;cHduZWQ=\x07",
    "new\nline",
    "car\rriage",
    "back\x08space",
    "right\u202eleft",
    "csi\x9b31m",
    "bell\x07",
    "del\x7f",
)
"""Names of files that would steer a terminal; all of them are names that a file may have."""
