"""How a server answers, by name: rightly, or wrong in one way, from the fourth answer on or the first time only."""

from __future__ import annotations

import functools
import gzip
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

ANSWERED_WELL = 3
SECRET = "sk-hostile-SECRET-0123456789"
"""The key that trials give; nothing may show or keep it."""


@dataclass
class Reply:
    """A request that waits for its answer. `seen` says how often the same question was asked before, `answered` how many
    questions were answered whole."""

    handler: BaseHTTPRequestHandler
    asked: dict[str, Any]
    question: str
    seen: int
    answered: int
    whole: bool = False

    def right(self) -> dict[str, Any]:
        """The answer of a server that behaves."""
        message = {"role": "assistant", "content": f"The answer is {len(self.question) % 7}."}
        return {
            "id": "1", "object": "chat.completion", "created": 0, "model": self.asked["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6},
        }  # fmt: skip

    def send(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Sends a body (JSON, text or bytes) with its length."""
        data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        given = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
        self.handler.send_response(status)
        for name, value in given.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(data)

    def begin(self, **headers: str) -> None:
        """Sends the head of an answer that ends with the connection."""
        self.handler.close_connection = True
        self.handler.send_response(200)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def raw(self, data: bytes) -> None:
        """Sends bytes as they are and closes."""
        self.handler.close_connection = True
        self.handler.wfile.write(data)
        self.handler.wfile.flush()


def behave(name: str, reply: Reply) -> None:
    """Answers as the name says: `well`, `once-FAULT` (the first time of each question), `FAULT` (from the fourth answer on)."""
    fault = name.removeprefix("once-")
    well = name == "well" or (reply.seen > 0 if fault != name else reply.answered < ANSWERED_WELL)
    if well:
        time.sleep(0.02)
        reply.send(reply.right())
        reply.whole = True
    else:
        FAULTS[fault](reply)


Fault = Callable[[Reply], None]


def status(code: int, body: Any = None, **headers: str) -> Fault:
    """An answer with a status."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if body is not None else {"error": {"message": f"made to fail with {code}"}}
    return lambda reply: reply.send(content, code, named)


def body(content: Any) -> Fault:
    """An answer of status 200 with this body."""
    return lambda reply: reply.send(content)


def changed(place: tuple[str | int, ...], raw: str) -> Fault:
    """The right answer with raw JSON at one place."""

    def fault(reply: Reply) -> None:
        whole = reply.right()
        holder: Any = whole
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = "@@raw@@"
        reply.send(json.dumps(whole).replace('"@@raw@@"', raw))

    return fault


def without(*place: str | int) -> Fault:
    """The right answer without one value."""

    def fault(reply: Reply) -> None:
        whole = reply.right()
        holder: Any = whole
        for key in place[:-1]:
            holder = holder[key]
        del holder[place[-1]]
        reply.send(whole)

    return fault


def drip(data: bytes, seconds: float) -> Fault:
    """A body that never ends, a little at a time."""

    def fault(reply: Reply) -> None:
        reply.begin()
        for _ in range(4000):
            reply.handler.wfile.write(data)
            reply.handler.wfile.flush()
            time.sleep(seconds)

    return fault


def encoded(make: Callable[[bytes], bytes], **headers: str) -> Fault:
    """The right answer, its bytes changed."""

    def fault(reply: Reply) -> None:
        reply.begin(**headers)
        reply.raw(make(json.dumps(reply.right()).encode()))

    return fault


def raw(data: bytes) -> Fault:
    """Bytes that are no HTTP, or the beginning of some."""
    return lambda reply: reply.raw(data)


def quoting(reply: Reply) -> None:
    """An error that quotes the key it was sent."""
    key = reply.handler.headers.get("Authorization", "")
    reply.send({"error": {"message": f"Incorrect API key provided: {key}."}}, 401)


@functools.cache
def _bomb() -> bytes:
    """Half a gigabyte of spaces, compressed piece by piece."""
    return b"".join(gzip.compress(b" " * 2**24, 1) for _ in range(2)) * 16


CHOICE = ("choices", 0)
CONTENT = (*CHOICE, "message", "content")

# What cannot be mended by asking again.
FAULTS: dict[str, Fault] = {
    **{f"status-{code}": status(code) for code in (400, 401, 403, 404, 405, 413, 415, 422, 451)},
    "status-204": lambda reply: reply.send(b"", 204),
    "status-302-loop": lambda reply: reply.send(b"", 307, {"Location": reply.handler.path}),
    "status-301-elsewhere": lambda reply: reply.send(b"", 308, {"Location": "http://127.0.0.1:1/v1"}),
    "status-302-file": lambda reply: reply.send(b"", 307, {"Location": "file:///etc/passwd"}),
    "error-not-json": status(400, "<html>\x1b[31mno</html>"),
    "error-escapes": status(400, {"error": {"message": "a\x1b]52;c;eA==\x07\nb\x9b31m\u202ec"}}),
    "error-surrogate": status(400, '{"error": {"message": "a\\ud800b"}}'),
    "error-list": status(400, [1, 2]),
    "error-deep": status(400, "[" * 50000),
    "error-huge": status(400, {"error": {"message": "x" * 5_000_000}}),
    "error-in-200": body({"error": {"message": "no such model"}}),
    "key-quoted": quoting,
    "empty": body(""),
    "html": body("<html>Sign in</html>"),
    "null": body("null"),
    "list": body("[]"),
    "number": body("5"),
    "text": body('"x"'),
    "object": body("{}"),
    "cut": encoded(lambda data: data[: len(data) // 2]),
    "two-objects": encoded(lambda data: data + data),
    "deep": body("[" * 100000 + "]" * 100000),
    "deep-object": body('{"choices":' * 50000 + "1" + "}" * 50000),
    "utf-16": encoded(lambda data: data.decode().encode("utf-16")),
    "bad-utf8": encoded(lambda data: data.replace(b"answer", b"ans\xff\xfewer")),
    "stream": encoded(lambda data: b"data: " + data + b"\n\ndata: [DONE]\n\n", Content_Type="text/event-stream"),
    "choices-missing": without("choices"),
    "choices-null": changed(("choices",), "null"),
    "choices-empty": changed(("choices",), "[]"),
    "choices-object": changed(("choices",), "{}"),
    "choices-text": changed(("choices",), '"x"'),
    "choices-number": changed(("choices",), "5"),
    "choices-of-text": changed(("choices",), '["x"]'),
    "choices-of-null": changed(("choices",), "[null]"),
    "choices-deep": changed(("choices",), "[" * 500 + "]" * 500),
    "message-missing": without(*CHOICE, "message"),
    "message-null": changed((*CHOICE, "message"), "null"),
    "message-text": changed((*CHOICE, "message"), '"The answer is 7."'),
    "message-list": changed((*CHOICE, "message"), "[]"),
    "content-number": changed(CONTENT, "5"),
    "content-float": changed(CONTENT, "5.5"),
    "content-true": changed(CONTENT, "true"),
    "content-object": changed(CONTENT, '{"text": "7"}'),
    "content-nan": changed(CONTENT, "NaN"),
    "finish-missing": without(*CHOICE, "finish_reason"),
    "finish-null": changed((*CHOICE, "finish_reason"), "null"),
    "finish-unknown": changed((*CHOICE, "finish_reason"), '"because"'),
    "finish-number": changed((*CHOICE, "finish_reason"), "5"),
    "finish-list": changed((*CHOICE, "finish_reason"), "[]"),
    "finish-filter": changed((*CHOICE, "finish_reason"), '"content_filter"'),
    "finish-escapes": changed((*CHOICE, "finish_reason"), '"\\u001b[31mstop"'),
    "drip-spaces": drip(b" ", 0.3),
    "drip-digits": drip(b"1", 0.01),
    "endless": drip(b" " * 2**20, 0.02),
    "endless-gzip": encoded(lambda data: _bomb(), Content_Encoding="gzip"),
    "not-gzip": encoded(lambda data: data, Content_Encoding="gzip"),
    "unknown-encoding": encoded(lambda data: gzip.compress(data), Content_Encoding="br"),
    "no-http": raw(b"SSH-2.0-OpenSSH_9.0\r\n"),
    "http-garbage": raw(b"\x00\xff" * 200),
    "status-line-escape": raw(b"HTTP/1.1 400 \x1b[31mBad\r\nContent-Length: 0\r\n\r\n"),
    "header-huge": raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2**20 + b"\r\n\r\n"),
    "length-negative": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"),
    "chunk-broken": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n"),
    "close": raw(b""),
    "head-only": raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"),
    "silence": lambda reply: time.sleep(20),
    **{f"passing-{code}": status(code) for code in (408, 409, 429, 500, 502, 503, 504, 529)},
    "passing-retry-after": status(429, None, Retry_After="1"),
    "passing-retry-after-long": status(503, None, Retry_After="100000"),
    "passing-retry-after-odd": status(503, None, Retry_After="soon\x1b"),
}  # fmt: skip

# What is odd and can be read: the answers are those of a server that behaves, or it is refused.
ODD: dict[str, Fault] = {
    "usage-text": changed(("usage",), '"x"'),
    "usage-list": changed(("usage",), "[]"),
    "usage-null": changed(("usage",), "null"),
    "usage-empty": changed(("usage",), "{}"),
    "tokens-text": changed(("usage", "completion_tokens"), '"5"'),
    "tokens-half": changed(("usage", "completion_tokens"), "1.5"),
    "tokens-minus": changed(("usage", "completion_tokens"), "-5"),
    "tokens-huge": changed(("usage", "completion_tokens"), "1" + "0" * 400),
    "tokens-null": changed(("usage", "completion_tokens"), "null"),
    "model-other": changed(("model",), '"another"'),
    "id-number": changed(("id",), "5"),
    "extra-deep": changed(("extra",), "[" * 60 + "]" * 60),
    "bom": encoded(lambda data: b"\xef\xbb\xbf" + data),
    "spaces-around": encoded(lambda data: b" " * 5000 + data + b"\n" * 5000),
    "no-length": encoded(lambda data: data),
    "wrong-type": encoded(lambda data: data, Content_Type="text/html"),
    "charset": encoded(lambda data: data, Content_Type="application/json; charset=latin-1"),
    "choices-two": changed(("choices",), '[{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}, {}]'),
    "content-parts": changed(CONTENT, '[{"type": "text", "text": "The answer is 7."}]'),
    "content-surrogate": changed(CONTENT, '"\\ud800 the answer is 7"'),
    "content-low-surrogate": changed(CONTENT, '"the answer is 7 \\udfff"'),
    "content-null": changed(CONTENT, "null"),
    "content-missing": without(*CONTENT),
    "content-nul": changed(CONTENT, '"The answer\\u0000 is 7."'),
}  # fmt: skip
FAULTS.update(ODD)
