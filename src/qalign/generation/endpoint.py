"""Answers from an OpenAI-compatible server.

This may be vLLM, `transformers serve` or a hosted model. A question is the only message of a chat. A server with a
checkpoint of ours adds the training prompt, which is the checkpoint's chat template. Many requests run at once. The client
library repeats those with a temporary failure, after growing pauses: no connection, silence, and statuses 408, 409, 429 and
5xx.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..alignment.prompts import prompt
from ..errors import ModelError
from ..placement import Placement
from ..records import sha256
from ..redaction import SHORTEST_IN_TEXT, redacted, without
from ..terminal import log
from ..untrusted import printable
from ..wording import counted
from .bounded import Address, SilenceError, UnboundedError, address, in_words, open_client
from .protocol import Completion, DecodingConfig, Request, seed_of
from .replies import EXCERPT, NoAnswerError, WithheldError, read_reply

if TYPE_CHECKING:
    from openai import AsyncOpenAI

RETRIES = 12
"""How often a request is sent again. Pauses grow from half a second to eight. They add up to a minute or more, enough for a
server to restart."""
TIMES_IN_SILENCE = 3
"""How often a request is sent that gets no reply in time. A slow answer is mostly slow again."""
SECONDS_BETWEEN_NOTICES = 30.0


class Endpoint:
    """A model on a server. Answers are independent, so each is saved as it arrives."""

    chunk = None

    def __init__(self, server: Address, decoding: DecodingConfig, placement: Placement) -> None:
        self.server, self.decoding, self.model = server, decoding, placement.served_model
        self.in_flight, self.seconds = placement.requests_in_flight, placement.seconds_per_request
        self._noticed = -SECONDS_BETWEEN_NOTICES

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers in the order of their arrival.

        Raises:
            ModelError: a request failed for good, or an answer is unusable. Running requests are awaited and
                yielded first. Answers withheld by the server's filter raise an error after all others.
        """
        answers = self._answers(requests)
        with asyncio.Runner() as runner:
            while (answer := runner.run(_next(answers))) is not None:
                yield answer

    async def _answers(self, requests: Sequence[Request]) -> AsyncIterator[Completion]:
        waiting = deque(requests)
        arrived: asyncio.Queue[Completion | ModelError | WithheldError | None] = asyncio.Queue()

        async def ask_in_turn(client: AsyncOpenAI) -> None:
            try:
                while waiting:
                    try:
                        await arrived.put(await self._ask(client, waiting.popleft()))
                    except WithheldError as error:
                        await arrived.put(error)
            except ModelError as error:
                await arrived.put(error)
            finally:
                waiting.clear()  # after a failure running requests finish, and no more start
                await arrived.put(None)

        async with open_client(self.server, self.seconds, RETRIES, self._notice) as client:
            askers = [asyncio.create_task(ask_in_turn(client)) for _ in range(min(self.in_flight, len(requests)))]
            try:
                failure, withheld, at_work = None, [], len(askers)
                while at_work:
                    match await arrived.get():
                        case Completion() as answer:
                            yield answer
                        case WithheldError() as error:
                            withheld.append(error)
                        case ModelError() as error:
                            failure = failure or error
                        case _:
                            at_work -= 1
                await asyncio.gather(*askers)
                if failure is not None:
                    raise failure
                if withheld:
                    raise ModelError(
                        f"the filter of {self.server.url} withheld {counted(len(withheld), 'answer')}, the first to "
                        f"{withheld[0]}; all others are kept. "
                        "Turn the filter off and give the same command again, or measure without these problems"
                    )
            finally:
                for asker in askers:
                    asker.cancel()

    async def _ask(self, client: AsyncOpenAI, request: Request) -> Completion:
        body = await self._reply(client, request)
        try:
            text, tokens, finish = read_reply(body, self.server.secrets)
        except WithheldError as error:
            raise WithheldError(request.key) from error
        except NoAnswerError as error:
            raise self._failed(
                request, f"answered {request.key} with something that is not a finished answer", str(error)
            ) from error
        text = without(text, self.server.secrets_in_text, SHORTEST_IN_TEXT)
        return Completion(
            key=request.key, text=text, prompt_sha256=sha256(prompt(request.instruction)), tokens=tokens, finish=finish
        )

    async def _reply(self, client: AsyncOpenAI, request: Request) -> bytes:
        """The body of the server's reply."""
        from openai import APIError

        decoding = self.decoding
        for times_left in reversed(range(TIMES_IN_SILENCE)):
            try:
                reply = await client.chat.completions.with_raw_response.create(
                    model=self.model,
                    messages=[{"role": "user", "content": request.instruction}],
                    max_tokens=decoding.max_new_tokens,
                    temperature=decoding.temperature,
                    top_p=decoding.top_p,
                    seed=seed_of(decoding.seed, request.key),
                )
                return bytes(reply.http_response.content)
            except SilenceError as error:
                if not times_left:
                    advice = "; give it more --seconds-per-request, or fewer --requests-in-flight"
                    raise self._failed(request, f"did not answer {request.key}", f"{error}{advice}") from error
            except UnboundedError as error:
                raise self._failed(request, f"answered {request.key} with", str(error)) from error
            except (APIError, ValueError) as error:  # ValueError: a host's name that cannot be looked up
                raise self._failed(
                    request, f"did not answer {request.key}", _reason(error, self.server.secrets)
                ) from error
        raise AssertionError("the last time in silence is an error")

    def _failed(self, request: Request, what: str, reason: str) -> ModelError:
        return ModelError(
            redacted(
                f"{self.server.url} {what} ({printable(reason)}); see to the server and give the same command again: it goes on "
                "from here",
                self.server.secrets,
            )
        )

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


def open_endpoint(folder: Path, decoding: DecodingConfig, placement: Placement) -> Endpoint:
    """The model and server that `placement` names. `folder` is not read.

    Raises:
        SettingError: the server is not named, or not by a URL.
    """
    return Endpoint(address(placement.endpoint), decoding, placement)
