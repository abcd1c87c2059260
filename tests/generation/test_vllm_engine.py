"""What is asked of vLLM's engine and made of its outputs. The engine stands in here; test_contract.py has the real one."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from qalign.alignment.prompts import render_prompts
from qalign.errors import ModelError
from qalign.generation import DecodingConfig, Request
from qalign.generation.vllm_engine import REQUESTS_AT_ONCE, Engine
from qalign.models.opening import load_tokenizer
from qalign.systems.bases import WORLD_FOLDER


class Recorder:
    """Says the same ids to every prompt."""

    def __init__(self, ids: list[int], finish: str) -> None:
        self.ids, self.finish, self.calls = ids, finish, list[tuple[Any, Any]]()

    def generate(self, prompts: Any, sampling: Any, use_tqdm: bool) -> list[Any]:
        assert not use_tqdm
        self.calls.append((prompts, sampling))
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=self.ids, finish_reason=self.finish)])] * len(
            prompts
        )


@pytest.fixture
def tokenizer(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=SimpleNamespace))
    return load_tokenizer(WORLD_FOLDER)


def engine(tokenizer: Any, stands_in: Recorder, **decoding: Any) -> Engine:
    return Engine(stands_in, tokenizer, DecodingConfig(max_new_tokens=9, **decoding), [2, 77])


def test_it_is_sent_the_tokens_of_training_and_the_decoding(tokenizer: Any) -> None:
    stands_in = Recorder([2], "stop")
    requests = [Request(str(n), f"Anna has {n} apples.") for n in range(REQUESTS_AT_ONCE + 1)]
    found = list(engine(tokenizer, stands_in, temperature=0.5, top_p=0.9).generate(requests))
    assert [answer.key for answer in found] == [request.key for request in requests]
    assert [len(prompts) for prompts, _ in stands_in.calls] == [REQUESTS_AT_ONCE, 1]
    sent = [prompt["prompt_token_ids"] for prompts, _ in stands_in.calls for prompt in prompts]
    assert sent == [list(ids) for ids in render_prompts([request.instruction for request in requests], tokenizer)]
    first, second = stands_in.calls[0][1][:2]
    assert (first.temperature, first.top_p, first.max_tokens, first.stop_token_ids) == (0.5, 0.9, 9, [2, 77])
    assert first.seed != second.seed


@pytest.mark.parametrize(
    ("ids", "finish", "kept"),
    [
        ([130, 131, 2], "stop", 2),
        ([130, 131, 77], "stop", 2),
        ([130, 131], "stop", 2),
        ([130, 131, 132], "length", 3),
        ([2], "stop", 0),
    ],
)
def test_the_end_is_no_part_of_the_answer(tokenizer: Any, ids: list[int], finish: str, kept: int) -> None:
    (answer,) = engine(tokenizer, Recorder(ids, finish)).generate([Request("k", "Eva")])
    assert (answer.tokens, answer.finish) == (kept, finish)
    assert answer.text == tokenizer.decode(ids[:kept], skip_special_tokens=True)


def test_what_was_given_up_is_an_error(tokenizer: Any) -> None:
    with pytest.raises(ModelError, match="gave k up"):
        list(engine(tokenizer, Recorder([], "abort")).generate([Request("k", "Eva")]))
