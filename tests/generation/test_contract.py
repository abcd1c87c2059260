"""What every backend keeps, and one that is added must keep: the same test for all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from qalign.alignment.prompts import prompt
from qalign.generation import Completion, DecodingConfig, Request, generate, open_backend, questions_of
from qalign.generation.protocol import BACKENDS
from qalign.placement import Placement
from qalign.records import Problem, sha256
from qalign.systems.bases import WORLD_FOLDER

pytestmark = pytest.mark.slow

MAX_NEW_TOKENS = 12
ENGINE = "enforce_eager=true,max_num_seqs=64,gpu_memory_utilization=0.1"
SERVED = {"endpoint": "serve", "completions": "serve_tokens"}
"""The fixture with the server of each backend that asks one."""
QUESTIONS = [
    "Anna has 12 apples. Anna gives away 5 apples. How many apples does Anna have?",
    "Otto hat 7 Bücher. Wie viele Bücher hat Otto?",
    "小明有3支铅笔。小明有多少支铅笔？",
    "Eva",
    "Eva",  # the same question under another key
]


@dataclass
class Kind:
    """A backend by name, with its model and where it runs."""

    name: str
    folder: Path
    placement: Placement

    def __call__(self, requests: list[Request]) -> list[Completion]:
        decoding = DecodingConfig(max_new_tokens=MAX_NEW_TOKENS, backend=self.name)
        return list(open_backend(self.folder, decoding, self.placement).generate(requests))


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    name: str = request.param
    if name == "scripted":
        (tmp_path / "script.json").write_text(json.dumps({"answers": {}, "otherwise": "an answer\0"}))
        return Kind(name, tmp_path, Placement())
    if name == "vllm":
        pytest.importorskip("vllm", reason="vLLM is not installed")
        return Kind(name, WORLD_FOLDER, Placement(vllm=ENGINE))
    if name in SERVED:
        pytest.importorskip("openai", reason="an endpoint needs openai: pip install 'qalign[endpoint]'")
        serve: Callable[[], object] = request.getfixturevalue(SERVED[name])
        port: int = request.getfixturevalue("port")
        serve()
        url = f"http://127.0.0.1:{port}/v1"
        return Kind(name, WORLD_FOLDER, Placement(quiet=True, endpoint=url, served_model=str(WORLD_FOLDER)))
    return Kind(name, WORLD_FOLDER, Placement(device="cpu", batch_size=2))


def test_it_keeps_the_contract(backend: Kind, tmp_path: Path) -> None:
    requests = [Request(f"key {place}", question) for place, question in enumerate(QUESTIONS)]
    found = {answer.key: answer for answer in backend(requests)}
    assert sorted(found) == [request.key for request in requests], "each request is answered once"
    for request in requests:
        answer = found[request.key]
        assert answer.prompt_sha256 == sha256(prompt(request.instruction))
        assert 0 < answer.tokens <= MAX_NEW_TOKENS + 1, "a server may count the end of the sequence"
        assert answer.finish in ("stop", "length")
        assert not answer.text.startswith("<s>")
    assert any(answer.finish == "length" for answer in found.values()), "an answer is cut off at the limit"
    assert found["key 3"].text == found["key 4"].text, "greedy answers depend on the question alone"
    assert backend([]) == []

    again = {answer.key: answer.text for answer in backend(requests[::-1])}
    assert again == {key: answer.text for key, answer in found.items()}

    if backend.name not in ("scripted", "transformers"):
        local = Kind("transformers", WORLD_FOLDER, Placement(device="cpu"))(requests)
        assert {answer.key: answer.text for answer in local} == again, "the same model gives the same answers"

    problems = [Problem(str(place), "en", question, None, "1", "test") for place, question in enumerate(QUESTIONS)]
    opened = open_backend(
        backend.folder, DecodingConfig(max_new_tokens=MAX_NEW_TOKENS, backend=backend.name), backend.placement
    )
    predictions = generate(questions_of(problems), opened, tmp_path, {}, "test", Placement(quiet=True))
    assert [(p.id, p.text) for p in predictions] == [(p.id, again[f"key {p.id}"]) for p in problems]
