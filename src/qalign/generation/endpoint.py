"""Answers from an OpenAI-compatible server: vLLM, `transformers serve` or a hosted model.

`completions` sends the token ids of training, so no template comes between. With `endpoint` a question is the only message
of a chat. A server with a checkpoint of ours adds the training prompt, which is the checkpoint's chat template. Many requests
run at once. The client library repeats those with a temporary failure, after growing pauses: no connection, silence, and
statuses 408, 409, 429 and 5xx.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec

from ..alignment.prompts import encode_prompts
from ..errors import DataError, ModelError, QAlignError
from ..models.opening import load_tokenizer, resolve
from ..placement import Placement
from ..records import Finish
from ..redaction import SHORTEST_IN_TEXT, redacted, without
from ..terminal import log
from ..untrusted import parse_json, printable
from ..wording import counted
from .bounded import Address, SilenceError, UnboundedError, address, in_words, open_client
from .protocol import Completion, DecodingConfig, Request, seed_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from transformers import PreTrainedTokenizerBase

RETRIES = 12
"""How often a request is sent again. Pauses grow from half a second to eight. They add up to a minute or more, enough for a
server to restart."""
TIMES_IN_SILENCE = 3
"""How often a request is sent that gets no reply in time. A slow answer is mostly slow again."""
SECONDS_BETWEEN_NOTICES = 30.0
STOPS = 4
"""The most stop texts that the protocol allows. Answers are cut at the others here."""
EXCERPT = 200
"""The most characters of a body in an error."""


class Endpoint:
    """A model on a server. Answers are independent, so each is saved as it arrives."""

    chunk = None
    tokenizer: PreTrainedTokenizerBase | None = None
    """That of prompts which are sent as token ids. Without one, the server is asked by chat."""

    def __init__(self, server: Address, decoding: DecodingConfig, placement: Placement) -> None:
        self.server, self.decoding, self.model = server, decoding, placement.served_model
        self.in_flight, self.seconds = placement.requests_in_flight, placement.seconds_per_request
        self._noticed = -SECONDS_BETWEEN_NOTICES
        # Secrets without a digit and a letter stand in an answer by chance.
        self._secrets = {one for one in server.secrets if re.search(r"\d", one) and re.search(r"[^\W\d_]", one)}

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers in the order of their arrival.

        Raises ModelError where a request failed for good, once the running ones are done, or the server's filter withheld
        answers.
        """
        answers = self._answers(requests)
        with asyncio.Runner() as runner:
            try:
                while (answer := runner.run(_next(answers))) is not None:
                    yield answer
            except KeyboardInterrupt:
                # What ends `run` may still wait in the loop. It would end the closing of the loop instead.
                loop = runner.get_loop()
                loop.call_soon(loop.stop)
                loop.run_forever()
                raise

    async def _answers(self, requests: Sequence[Request]) -> AsyncIterator[Completion]:
        waiting, running = iter(requests), set[asyncio.Task[Completion]]()
        failures, withheld = list[ModelError](), list[WithheldError]()
        async with open_client(self.server, self.seconds, RETRIES, self._notice) as client:
            try:
                while True:
                    # Once those that came before are kept, so that few are lost. After a failure no more start.
                    for request in islice(waiting, 0 if failures else self.in_flight - len(running)):
                        running.add(asyncio.create_task(self._ask(client, request)))
                    if not running:
                        break
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        try:
                            yield task.result()
                        except WithheldError as error:
                            withheld.append(error)
                        except ModelError as error:
                            failures.append(error)
            finally:
                for task in running:
                    task.cancel()
        if failures:
            raise failures[0]
        if withheld:
            what = f"withheld {counted(len(withheld), 'answer')}, the first to {withheld[0]}; all others are kept"
            advice = "Turn the filter off and give the same command again, or measure without these problems"
            raise ModelError(f"the filter of {self.server.url} {what}. {advice}")

    async def _ask(self, client: AsyncOpenAI, request: Request) -> Completion:
        ids = encode_prompts([request.prompt], self.tokenizer)[0] if self.tokenizer else []
        body = await self._reply(client, request, ids)
        try:
            text, tokens, finish = read_reply(body, self.server.secrets, len(ids))
        except WithheldError as error:
            raise WithheldError(request.key) from error
        except NoAnswerError as error:
            what = f"answered {request.key} with something that is not a finished answer"
            raise self._failed(what, str(error)) from error
        text, finish = self.decoding.ended(text, finish)
        return request.answered(without(text, self._secrets, SHORTEST_IN_TEXT), tokens, finish)

    async def _reply(self, client: AsyncOpenAI, request: Request, ids: list[int]) -> bytes:
        """The body of the server's reply to a prompt of token ids, if there are any, or to a question in a chat."""
        from openai import APIError, omit

        decoding = self.decoding
        create: Any = (client.completions if ids else client.chat.completions).with_raw_response.create
        asked: Any = {"prompt": ids} if ids else {"messages": [{"role": "user", "content": request.instruction}]}
        for times_left in reversed(range(TIMES_IN_SILENCE)):
            try:
                reply = await create(
                    model=self.model, max_tokens=decoding.max_new_tokens, temperature=decoding.temperature,
                    top_p=decoding.top_p, seed=seed_of(decoding.seed, request.key),
                    stop=list(decoding.stop[:STOPS]) if decoding.stop else omit, **asked,
                )  # fmt: skip
                return bytes(reply.http_response.content)
            except SilenceError as error:
                if not times_left:
                    advice = "; give it more --seconds-per-request, or fewer --requests-in-flight"
                    raise self._failed(f"did not answer {request.key}", f"{error}{advice}") from error
            except UnboundedError as error:
                raise self._failed(f"answered {request.key} with", str(error)) from error
            except (APIError, ValueError) as error:  # ValueError: a host's name that cannot be looked up
                raise self._failed(f"did not answer {request.key}", _reason(error, self.server.secrets)) from error
        raise AssertionError("the last time in silence is an error")

    def _failed(self, what: str, reason: str) -> ModelError:
        advice = "see to the server and give the same command again: it goes on from here"
        return ModelError(redacted(f"{self.server.url} {what} ({printable(reason)}); {advice}", self.server.secrets))

    def _notice(self, failure: str) -> None:
        """Reports now and then that something fails and is tried again."""
        if time.monotonic() - self._noticed >= SECONDS_BETWEEN_NOTICES:
            self._noticed = time.monotonic()
            log(redacted(f"{self.server.url}: {failure}; it is asked again", self.server.secrets))


async def _next(answers: AsyncIterator[Completion]) -> Completion | None:
    return await anext(answers, None)


def _reason(error: Exception, secrets: Iterable[str]) -> str:
    """Why a request failed, on one line. For a redirect, its target."""
    reply = getattr(error, "response", None)
    if reply is not None and 300 <= reply.status_code < 400:
        location = redacted(reply.headers.get("location", ""), secrets)[:EXCERPT]
        return f"it redirects to '{location}'; give that address if you trust it"
    return in_words(error, secrets)


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
    finish_reason: str
    message: _Message | None = None
    text: str | None = None


class _Usage(msgspec.Struct):
    completion_tokens: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] | None = None
    prompt_tokens: object = None


class _Reply(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1, max_length=1)]
    usage: _Usage | None = None


def read_reply(body: bytes, secrets: Iterable[str] = (), sent: int = 0) -> tuple[str, int, Finish]:
    """The text of a reply, its number of tokens, 0 where there is none, and why it ended. `sent` is the number of token ids that
    were sent, 0 in a chat.

    Raises:
        NoAnswerError: the body is not JSON, has another shape, does not hold a finished text, or is to other tokens.
        WithheldError: the server's filter withheld the answer.
    """
    try:
        reply = msgspec.convert(parse_json(body, "the body", half_pairs=True), _Reply)
    except (DataError, msgspec.ValidationError) as error:
        text = " ".join(body[: 16 * EXCERPT].decode("utf-8", errors="replace").split())
        excerpt = printable(redacted(text, secrets))[:EXCERPT] or "empty"  # secrets go before it is cut
        raise NoAnswerError(f"{error}; the body is {excerpt}") from error
    choice = reply.choices[0]
    if choice.finish_reason == "content_filter":
        raise WithheldError("finish_reason is content_filter")
    if choice.finish_reason not in get_args(Finish):
        raise NoAnswerError(f"finish_reason is '{choice.finish_reason[:40]}', neither stop nor length")
    finish: Finish = "length" if choice.finish_reason == "length" else "stop"
    if sent and (read := reply.usage and reply.usage.prompt_tokens) != sent:
        raise NoAnswerError(f"{sent} tokens were sent, and the server says that it read {str(read)[:20]}")
    tokens = (reply.usage.completion_tokens or 0) if reply.usage else 0
    message = _Message(content=choice.text) if sent else choice.message or _Message()
    if message.tool_calls:
        raise NoAnswerError("a call of a tool, which was not offered")
    if message.content is not None:
        return message.content, tokens, finish
    # A model truncated within its reasoning, or silent after it, has given an empty answer.
    if finish == "length" or message.reasoning or message.reasoning_content:
        return "", tokens, finish
    raise NoAnswerError(f"no text, but a refusal: {message.refusal[:EXCERPT]}" if message.refusal else "no text")


def open_endpoint(folder: Path, decoding: DecodingConfig, placement: Placement) -> Endpoint:
    """The model and server that `placement` names. `folder` is not read."""
    return Endpoint(address(placement.endpoint), decoding, placement)


def open_completions(folder: Path, decoding: DecodingConfig, placement: Placement) -> Endpoint:
    """As `open_endpoint`, for prompts of token ids. The tokenizer is that of the folder."""
    endpoint = open_endpoint(folder, decoding, placement)
    endpoint.tokenizer = load_tokenizer(resolve(folder))
    return endpoint


def way_of_asking(model: str, placement: Placement) -> str:
    """The backend for a model on a server: `completions` where it is a folder here and the server takes its token ids, as one
    short question shows; else `endpoint`."""
    if not (Path(model).is_dir() and find_spec("openai") and find_spec("transformers")):
        return "endpoint"
    decoding, placement = DecodingConfig(max_new_tokens=1), replace(placement, served_model=model)
    try:
        list(open_completions(Path(model), decoding, placement).generate([Request("a first question", "1 + 1 = ?")]))
    except ModelError as error:
        status = getattr(error.__cause__, "status_code", None)
        if status in (400, 404, 405, 415, 422, 501) or isinstance(error.__cause__, NoAnswerError):
            reason = f"status {status}" if status else printable(str(error.__cause__))
            log(f"{model}: the server takes no token ids ({reason}), so it is asked by chat")
            return "endpoint"
    return "completions"
