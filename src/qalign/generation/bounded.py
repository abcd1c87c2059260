"""A client of untrusted servers, with limits on time and size. A key is sent only to the one address given."""

from __future__ import annotations

import asyncio
import base64
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ..errors import SettingError
from ..redaction import redacted, secrets_of_url
from ..untrusted import printable

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MOST_BYTES = 32 * 2**20
"""The most bytes of a reply. An answer of 2,048 tokens takes a thousandth of it."""
MOST_BYTES_OF_AN_ERROR = 2**16
SECONDS_TO_CONNECT = 8.0
HOST = re.compile(r"[0-9a-f.]*:[0-9a-f:.]*(%\w+)?|[\w-]{1,63}(\.[\w-]{1,63})*\.?")
"""An address of IPv6, or a name or an address of IPv4."""
EXAMPLE = "http://localhost:8000/v1"

_PASSING = (408, 409, 429)
_KEPT_HEADERS = ("content-type", "location", "retry-after")
"""Headers of a reply that are read. No other header decides how often a server is asked."""


class SilenceError(Exception):
    """A reply was not complete in time."""


class UnboundedError(Exception):
    """A body is too large for an answer, or may be once unpacked."""


@dataclass(frozen=True)
class Address:
    """The address of a server, and the request parts that were secret in its URL."""

    url: str
    headers: dict[str, str] = field(repr=False)
    query: dict[str, str] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)


def address(given: str) -> Address:
    """The server of a URL. A user and password are sent as basic authentication, and the query with every request.

    Raises SettingError where it is not the URL of a server, or the key of the environment is not valid.
    """
    parts = _checked(given)
    key = (os.environ.get("OPENAI_API_KEY") or "none").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingError("OPENAI_API_KEY holds a character that no key has; set it again, on one line, unquoted")
    authorization = f"Bearer {key}"
    if parts.username or parts.password:
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    query = parse_qsl(parts.query, keep_blank_values=True)
    if len(dict(query)) < len(query):
        raise _wrong(given, "a name stands twice in its query")
    host = parts.netloc.rpartition("@")[2]
    url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    secrets = frozenset({*secrets_of_url(given), *({key} - {"none"})})
    return Address(url=url, headers={"Authorization": authorization}, query=dict(query), secrets=secrets)


def _checked(given: str) -> SplitResult:
    if not given:
        raise SettingError(f"a backend on a server needs its URL: qalign eval MODEL --endpoint {EXAMPLE}")
    if re.search(r"\s", given) or printable(given) != given:
        raise _wrong(given, "it holds a space or a control character")
    try:
        parts = urlsplit(given)
        port, host = parts.port, parts.hostname or ""
    except ValueError as error:
        reason = "its port is not a number" if "port" in str(error).lower() else "its host is none"
        raise _wrong(given, reason) from error
    if not host.isascii():
        import idna  # the client library checks host names with it

        try:
            idna.encode(host)
        except idna.IDNAError as error:
            raise _wrong(given, "its host is none") from error
    faults = {
        "it does not begin with http:// or https://": parts.scheme not in ("http", "https"),
        "it names no host": not HOST.fullmatch(host),
        "its port is none": port == 0 or parts.netloc.endswith(":"),
        "what stands behind # is sent to no server": bool(parts.fragment),
    }
    for reason in (reason for reason, holds in faults.items() if holds):
        raise _wrong(given, reason)
    return parts


def _wrong(given: str, reason: str) -> SettingError:
    shown = "" if set("@?#") & set(given) else f" '{redacted(given)}'"  # it may hold a password
    return SettingError(f"--endpoint{shown} is not the URL of a server: {reason}; give one such as {EXAMPLE}")


def open_client(server: Address, seconds: float, retries: int, tell: Callable[[str], None]) -> AsyncOpenAI:
    """A client of the openai library whose requests end.

    SilenceError after `seconds` for a whole reply, body included. `tell` is called with each temporary failure.
    """
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

    class Bounded(DefaultAsyncHttpxClient):
        async def send(self, request: Any, **options: Any) -> Any:
            try:
                async with asyncio.timeout(seconds):
                    reply = await super().send(request, **{**options, "stream": True, "follow_redirects": False})
                    try:
                        body = await _body(reply)
                    finally:
                        await reply.aclose()
            except TimeoutError as error:
                tell(reason := f"no whole answer within {seconds:g} s")
                raise SilenceError(reason) from error
            except Exception as error:
                tell(in_words(error, server.secrets))
                raise
            if reply.status_code in _PASSING or reply.status_code >= 500:
                tell(f"status {reply.status_code}")
            headers = {name: reply.headers[name] for name in _KEPT_HEADERS if name in reply.headers}
            return type(reply)(reply.status_code, headers=headers, content=body, request=request)

    return AsyncOpenAI(
        base_url=server.url,
        api_key="none",  # the header below has the key
        default_headers={**server.headers, "Accept-Encoding": "identity"},
        default_query=server.query,
        max_retries=retries,
        http_client=Bounded(timeout=Timeout(None, connect=SECONDS_TO_CONNECT)),
        timeout=Timeout(None, connect=SECONDS_TO_CONNECT),
    )


async def _body(reply: Any) -> bytes:
    """The body of a reply, or the start of an error's body."""
    failed = reply.status_code >= 300
    coding = reply.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        if failed:
            return b""
        raise UnboundedError(f"an answer in the coding '{printable(coding)[:20]}', which was not asked for")
    parts, size, most = [], 0, MOST_BYTES_OF_AN_ERROR if failed else MOST_BYTES
    async for part in reply.aiter_raw():
        parts.append(part)
        size += len(part)
        if size > most:
            if failed:
                break
            raise UnboundedError(f"a body of more than {MOST_BYTES >> 20} MiB")
    return b"".join(parts)[:most]


def in_words(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """An error of a library on one line, with its hidden cause and without secrets."""
    reason, inner = str(error).strip(), _inner(error)
    while inner is not None:
        reason, inner = str(inner).strip() or reason, _inner(inner)
    return f"{type(error).__name__}: {printable(redacted(' '.join(reason.split()), secrets))[:200]}"


def _inner(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)
