"""The contract of a backend, kept by one that speaks to a server: nothing is lost, nothing that was answered is asked again."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from servers import Serve, starting
from typer.testing import CliRunner

from qalign.alignment.prompts import encode_prompts, prompt
from qalign.cli import app
from qalign.errors import ModelError, SettingError
from qalign.generation import Completion, DecodingConfig, Request, generate, open_backend, questions_of
from qalign.generation.endpoint import Endpoint
from qalign.generation.run import KEPT
from qalign.models.opening import load_tokenizer
from qalign.placement import Placement
from qalign.records import Problem, sha256
from qalign.systems.bases import WORLD_FOLDER

pytest.importorskip("openai")

SERVER = Path(__file__).with_name("misbehaving_server.py")
DECODING = DecodingConfig(max_new_tokens=7, backend="endpoint")


@pytest.fixture
def start(port: int, tmp_path: Path) -> Iterator[Serve]:
    """Starts the server with faults; all that were started are killed in the end."""
    with starting(port) as begin:
        yield lambda **faults: begin(str(SERVER), str(port), str(tmp_path / "log"), json.dumps(faults))


def placed(port: int, **more: Any) -> Placement:
    values = {"endpoint": f"http://127.0.0.1:{port}/v1", "served_model": "m", "requests_in_flight": 8} | more
    return Placement(quiet=True, **values)


def problems(number: int, ending: str = "") -> list[Problem]:
    return [Problem(str(n), "en", f"question {n}{ending}", None, "1", "test") for n in range(number)]


def answered(tmp_path: Path, log_name: str = "log") -> Counter[str]:
    """How often the server has answered each question."""
    log = tmp_path / log_name
    return Counter(map(json.loads, log.read_text(encoding="utf-8").splitlines())) if log.exists() else Counter()


def test_it_answers_as_the_protocol_says(port: int, start: Serve, tmp_path: Path) -> None:
    start()
    requests = [Request("a", "one"), Request("b", "two cut")]
    found = {c.key: c for c in open_backend(tmp_path, DECODING, placed(port)).generate(requests)}
    assert {key: (c.text, c.tokens, c.finish) for key, c in found.items()} == {
        "a": ("answer to one", 7, "stop"),
        "b": ("answer to two cut", 7, "length"),
    }
    assert found["a"].prompt_sha256 == sha256(prompt("one"))
    assert list(open_backend(tmp_path, DECODING, placed(port)).generate([])) == []


def test_errors_silence_and_broken_connections_lose_nothing(port: int, start: Serve, tmp_path: Path) -> None:
    start(**{"429": 0.1, "500": 0.1, "drop": 0.05, "hang": 0.02})
    asked = problems(120)
    backend = open_backend(tmp_path, DECODING, placed(port, seconds_per_request=2.0))
    found = generate(questions_of(asked), backend, tmp_path, {}, "test", placed(port))
    assert [(p.id, p.text) for p in found] == [(p.id, f"answer to {p.question}") for p in asked]
    assert set(answered(tmp_path)) == {p.question for p in asked}
    # A question whose answer came too late for the client may be answered twice, and no other: on a busy machine, one or two.
    assert answered(tmp_path).total() <= len(asked) + 2


def test_a_server_that_is_killed_and_started_again_is_waited_for(port: int, start: Serve, tmp_path: Path) -> None:
    server = start()
    asked = problems(300)
    backend = open_backend(tmp_path, DECODING, placed(port, requests_in_flight=2))
    draw = random.Random(1)
    kills = set(draw.sample(range(20, 280), 2))
    seen = []
    for answer in backend.generate([Request(p.id, p.question) for p in asked]):
        seen.append(answer.key)
        if len(seen) in kills:
            server.send_signal(signal.SIGKILL)
            server.wait()
            server = start()
    assert sorted(seen) == sorted(p.id for p in asked)
    assert answered(tmp_path).total() <= len(asked) + 2 * len(kills), "only what was under way is asked again"


def test_what_came_before_a_failure_is_kept_and_not_asked_again(
    port: int, start: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server dies for good; started again later, it is asked for what it had not answered."""
    monkeypatch.setattr("qalign.generation.endpoint.RETRIES", 1)
    server = start()
    asked = problems(200)

    class Dying:
        chunk = None

        def generate(self, requests: Any) -> Iterator[Any]:
            for number, answer in enumerate(open_backend(tmp_path, DECODING, placed(port)).generate(requests)):
                if number == 90:
                    server.kill()
                yield answer

    with pytest.raises(ModelError, match=r"did not answer en/\d+ .*the same command again"):
        generate(questions_of(asked), Dying(), tmp_path, {}, "test", placed(port))
    before = answered(tmp_path)
    assert 90 <= before.total() < 200
    start()
    found = generate(
        questions_of(asked), open_backend(tmp_path, DECODING, placed(port)), tmp_path, {}, "test", placed(port)
    )
    assert [(p.id, p.text) for p in found] == [(p.id, f"answer to {p.question}") for p in asked]
    twice = [question for question, times in answered(tmp_path).items() if times > 1]
    assert len(twice) <= 8, "of what was answered, only answers on their way when the server died are asked again"


def test_of_many_requests_only_those_under_way_are_begun(port: int, start: Serve, tmp_path: Path) -> None:
    """Rejection sampling asks for hundreds of thousands, and an interruption loses those that were begun."""
    start()
    begun = []

    class Requests(list[Request]):
        def __iter__(self) -> Iterator[Request]:
            for request in super().__iter__():
                begun.append(request)
                yield request

    answers = open_backend(tmp_path, DECODING, placed(port)).generate(
        Requests(Request(p.id, p.question) for p in problems(60))
    )
    for kept, _ in enumerate(answers):
        assert len(begun) <= kept + 8
    assert len(begun) == 60


def test_an_interruption_as_an_answer_arrives_is_told_as_one(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this order: the signal is handled in the loop just after an answer is there, and before the loop has ended for it."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def answers(self: Endpoint, requests: Sequence[Request]) -> AsyncIterator[Completion]:
        for request in requests:
            asyncio.get_running_loop().call_soon(interrupt)
            yield request.answered("text", 1, "stop")

    monkeypatch.setattr(Endpoint, "_answers", answers)
    backend = open_backend(WORLD_FOLDER, DECODING, placed(port))
    with pytest.raises(KeyboardInterrupt):
        list(backend.generate([Request("0", "question")]))


def test_answers_that_a_filter_withheld_are_said_after_all_others(port: int, start: Serve, tmp_path: Path) -> None:
    start()
    bad = [Problem(str(n), "en", f"question {n} bad", None, "1", "test") for n in (50, 51)]
    backend = open_backend(tmp_path, DECODING, placed(port))
    with pytest.raises(ModelError, match=r"withheld 2 answers, the first to en/5[01]; all others are kept"):
        generate(questions_of([*bad, *problems(40)]), backend, tmp_path, {}, "test", placed(port))
    assert (tmp_path / KEPT).read_bytes().count(b"\n") == 1 + 40


def test_what_is_no_answer_is_an_error(port: int, start: Serve, tmp_path: Path) -> None:
    start()
    backend = open_backend(tmp_path, DECODING, placed(port))
    assert [c.key for c in backend.generate([Request("k", "fine")])] == ["k"]
    with pytest.raises(ModelError, match="not a finished answer"):
        list(backend.generate([Request("k", "broken")]))


def test_after_an_answer_that_is_broken_nothing_more_is_asked(port: int, start: Serve, tmp_path: Path) -> None:
    start()
    requests = [Request("k", "broken"), *(Request(str(n), f"question {n}") for n in range(100))]
    with pytest.raises(
        ModelError, match=r"answered k with something that is not a finished answer \(the body is not valid JSON"
    ):
        list(open_backend(tmp_path, DECODING, placed(port)).generate(requests))
    assert answered(tmp_path, "log.asked").total() < 100


def test_a_server_that_refuses_is_not_asked_twice(port: int, start: Serve, tmp_path: Path) -> None:
    start(**{"401": 1.0})
    with pytest.raises(ModelError, match=r"AuthenticationError.*made to fail with 401"):
        list(open_backend(tmp_path, DECODING, placed(port)).generate([Request("k", "one")]))
    assert answered(tmp_path, "log.asked").total() == 1


def test_eval_asks_the_server_for_the_model_by_its_name(port: int, start: Serve, tmp_path: Path) -> None:
    start()
    words = ["eval", "some/model", "--endpoint", f"http://127.0.0.1:{port}/v1", "--test", "world-development",
             "--test-languages", "en,sw", "--set", "data.problems_per_language=3", "--runs", str(tmp_path / "runs"),
             "--quiet"]  # fmt: skip
    for _ in range(2):
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert answered(tmp_path).total() == 6, "each question once, and never again"
    assert "some/model" in result.output
    (stage,) = (tmp_path / "runs" / "stages").glob("base-served-*/served.json")
    assert json.loads(stage.read_text()) == {"model": "some/model"}
    words.insert(1, "other/model")
    result = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "both")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert answered(tmp_path).total() == 12, "the other model is asked, the first is not asked again"
    assert list(json.loads((tmp_path / "both" / "results.json").read_text())["systems"]) == [
        "other/model",
        "some/model",
    ]
    assert {json.loads(line) for line in (tmp_path / "log.models").read_text().splitlines()} == {
        "other/model", "some/model",
    }  # fmt: skip


def prompts_sent(tmp_path: Path) -> list[Any]:
    """What `token_server.py` was sent."""
    return [json.loads(line) for line in (tmp_path / "prompts").read_text(encoding="utf-8").splitlines()]


def test_token_ids_are_those_of_training_whatever_a_question_holds(
    port: int, serve_tokens: Serve, tmp_path: Path
) -> None:
    serve_tokens()
    questions = ["Eva", "Eva </s> <s> ?"]
    decoding = DecodingConfig(max_new_tokens=4, backend="completions")
    answers = list(open_backend(WORLD_FOLDER, decoding, placed(port)).generate([Request(q, q) for q in questions]))
    assert {answer.key for answer in answers} == set(questions)
    assert sorted(prompts_sent(tmp_path)) == sorted(
        encode_prompts([prompt(text) for text in questions], load_tokenizer(WORLD_FOLDER))
    )


def test_a_server_that_reads_other_tokens_than_those_sent_is_an_error(port: int, serve_tokens: Serve) -> None:
    serve_tokens("again")
    decoding = DecodingConfig(max_new_tokens=4, backend="completions")
    with pytest.raises(ModelError, match=r"(\d+) tokens were sent, and the server says that it read \d+"):
        list(open_backend(WORLD_FOLDER, decoding, placed(port)).generate([Request("k", "Eva")]))


@pytest.mark.parametrize(
    ("kind", "backend", "said"),
    [("tokens", "completions", ""), ("chat", "endpoint", "status 400"), ("again", "endpoint", "tokens were sent")],
)
def test_eval_asks_by_token_ids_where_the_server_takes_those_of_a_folder(
    kind: str, backend: str, said: str, port: int, serve_tokens: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qalign.generation.endpoint.RETRIES", 1)
    server = serve_tokens(kind)
    words = ["eval", str(WORLD_FOLDER), "--endpoint", f"http://127.0.0.1:{port}/v1", "--test", "world-development",
             "--test-languages", "en", "--limit", "2", "--set", "generation.max_new_tokens=4", "--runs",
             str(tmp_path / "runs")]  # fmt: skip
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert ("so it is asked by chat" in result.output) == bool(said) and said in result.output
    (stage,) = (tmp_path / "runs" / "stages").glob("generate-*/stage.json")
    assert json.loads(stage.read_text())["identity"]["config"]["decoding"]["backend"] == backend, (
        "the identity says which"
    )
    first, *asked = prompts_sent(tmp_path)
    assert isinstance(first, list) and len(asked) == 2
    assert {type(prompt) for prompt in asked} == {list if backend == "completions" else str}

    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0 and len(prompts_sent(tmp_path)) == 4, "a second run asks one question, which way"
    if backend == "completions":
        server.kill()
        server.wait()
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, "results are printed again without the server"


@pytest.mark.parametrize("option", ["--requests-in-flight", "--seconds-per-request"])
def test_what_is_about_a_server_is_refused_without_one(option: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["eval", str(WORLD_FOLDER), option, "4", "--runs", str(tmp_path / "runs")])
    assert result.exit_code == 2 and f"{option} is about a server: give --endpoint URL" in result.output
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_real_server_that_is_killed_and_started_again_gives_the_answers_of_its_model(serve: Serve, port: int) -> None:
    requests = [Request(str(n), f"Anna has {n} apples. How many apples does Anna have?") for n in range(3, 11)]
    decoding = {"max_new_tokens": 16}
    local = open_backend(WORLD_FOLDER, DecodingConfig(**decoding), Placement(device="cpu"))
    expected = {answer.key: (answer.text, answer.finish) for answer in local.generate(requests)}
    server = serve()
    where = placed(port, served_model=str(WORLD_FOLDER), requests_in_flight=2)
    found = []
    backend = open_backend(WORLD_FOLDER, DecodingConfig(**decoding, backend="endpoint"), where)
    for answer in backend.generate(requests):
        found.append((answer.key, (answer.text, answer.finish)))
        if len(found) == 3:
            server.kill()
            server.wait()
            server = serve(wait=False)
    assert sorted(found) == sorted(expected.items())


@pytest.mark.parametrize("url", ["", "localhost:8000/v1", "ftp://x"])
def test_no_server_is_an_error(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--endpoint"):
        open_backend(tmp_path, DECODING, Placement(endpoint=url))
