"""Answers from an OpenAI-compatible server: vLLM, `transformers serve`, a hosted model.

A question goes as the only message of a chat. A server that has a checkpoint of ours puts the training prompt around it: that
prompt is the checkpoint's chat template. Many requests are under way at once, and those that fail in passing (no
connection, silence, statuses 408, 409, 429 and 5xx) are sent again with growing pauses, which is the client library's part.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..alignment.prompts import prompt
from ..errors import ModelError, SettingError
from ..placement import Placement
from ..records import Finish, sha256
from .protocol import Completion, DecodingConfig, Request, seed_of

RETRIES = 12
"""How often a request is sent again. The pauses, half a second at first and then up to eight, add up to a minute or more:
time for a server to be started again."""
FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length"}


class Endpoint:
    """A server's model. Each answer stands for itself, so each is kept as it comes."""

    chunk = None

    def __init__(self, decoding: DecodingConfig, placement: Placement) -> None:
        self.decoding, self.url, self.model = decoding, placement.endpoint, placement.served_model
        self.in_flight, self.seconds = placement.requests_in_flight, placement.seconds_per_request

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers in the order of their arrival.

        Raises:
            ModelError: a request failed for good, or an answer cannot be used; those under way are waited for and yielded before.
        """
        answers = self._answers(requests)
        with asyncio.Runner() as runner:
            while (answer := runner.run(_next(answers))) is not None:
                yield answer

    async def _answers(self, requests: Sequence[Request]) -> AsyncIterator[Completion]:
        from openai import AsyncOpenAI

        waiting = deque(requests)
        arrived: asyncio.Queue[Completion | ModelError | None] = asyncio.Queue()

        async def ask_in_turn(client: Any) -> None:
            try:
                while waiting:
                    await arrived.put(await self._ask(client, waiting.popleft()))
            except ModelError as error:
                await arrived.put(error)
            finally:
                waiting.clear()  # after a failure what is under way ends, and nothing more begins
                await arrived.put(None)

        client = AsyncOpenAI(
            base_url=self.url,
            api_key=os.environ.get("OPENAI_API_KEY") or "none",
            timeout=self.seconds,
            max_retries=RETRIES,
        )
        async with client:
            askers = [asyncio.create_task(ask_in_turn(client)) for _ in range(min(self.in_flight, len(requests)))]
            try:
                failure, at_work = None, len(askers)
                while at_work:
                    match await arrived.get():
                        case Completion() as answer:
                            yield answer
                        case ModelError() as error:
                            failure = failure or error
                        case _:
                            at_work -= 1
                await asyncio.gather(*askers)
                if failure is not None:
                    raise failure
            finally:
                for asker in askers:
                    asker.cancel()

    async def _ask(self, client: Any, request: Request) -> Completion:
        from openai import APIError

        decoding = self.decoding
        try:
            reply = await client.chat.completions.create(
                model=self.model,
                messages=[{"role": "user", "content": request.instruction}],
                max_tokens=decoding.max_new_tokens,
                temperature=decoding.temperature,
                top_p=decoding.top_p,
                seed=seed_of(decoding.seed, request.key),
            )
        except (APIError, ValueError) as error:  # ValueError: a body that is no JSON
            raise ModelError(
                f"{self.url} did not answer {request.key} ({_in_words(error)}); see to the server and give the same command "
                "again: it goes on from here"
            ) from error
        try:
            (choice,) = reply.choices
            text, finish = choice.message.content or "", FINISHES[choice.finish_reason]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{self.url} answered {request.key} with what is no finished answer ({str(reply)[:200]}); is it an "
                "OpenAI-compatible server?"
            ) from error
        tokens = reply.usage.completion_tokens if reply.usage else 0  # 0: the server does not say
        return Completion(request.key, text, sha256(prompt(request.instruction)), tokens, finish)


async def _next(answers: AsyncIterator[Completion]) -> Completion | None:
    return await anext(answers, None)


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip()[:200]}"


def open_endpoint(folder: Path, decoding: DecodingConfig, placement: Placement) -> Endpoint:
    """The model that `placement` names, at the server that it names; `folder` is not looked at.

    Raises:
        SettingError: no server was named, or not by a URL.
    """
    if not placement.endpoint.startswith(("http://", "https://")):
        raise SettingError(
            f"generation.backend=endpoint needs a server's URL, not '{placement.endpoint}': qalign eval MODEL --endpoint http://localhost:8000/v1"
        )
    return Endpoint(decoding, placement)
