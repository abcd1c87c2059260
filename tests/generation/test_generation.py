"""Generation: it goes on where it stopped and never takes over another run's answers; batching changes no answer."""

from __future__ import annotations

import hashlib
import itertools
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from qalign.alignment.prompts import encode_prompts, prompt
from qalign.errors import ModelError, SettingError, StageError
from qalign.generation import (
    Completion,
    DecodingConfig,
    Question,
    Request,
    generate,
    open_backend,
    questions_of,
)
from qalign.generation.local import Local, rows_at_once
from qalign.generation.protocol import BACKENDS, REQUESTS_PER_CHUNK
from qalign.generation.run import KEPT
from qalign.generation.scripted import Scripted
from qalign.placement import Placement
from qalign.records import Prediction, Problem, sha256

QUIET = Placement(quiet=True, device="cpu")
SETTINGS = {"decoding": {"max_new_tokens": 8}}


def problems(number: int) -> list[Problem]:
    """Problems of uneven length in two languages."""
    return [
        Problem(str(n // 2), ("de", "en")[n % 2], f"Question {n}: " + "x" * (n * 7 % 23), None, "1", "test")
        for n in range(number)
    ]


def script(asked: Sequence[Problem]) -> Scripted:
    return Scripted({problem.question: f"answer to {problem.question}" for problem in asked})


class Counting:
    """Counts what a backend is asked; stops at a request if told to."""

    chunk = REQUESTS_PER_CHUNK

    def __init__(self, backend: Any, stop_after: int | None = None) -> None:
        self.backend, self.stop_after = backend, stop_after
        self.asked: Counter[str] = Counter()

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        for completion in self.backend.generate(requests):
            if self.asked.total() == self.stop_after:
                raise RuntimeError("stopped on purpose")
            self.asked[completion.key] += 1
            yield completion


def answer(asked: Sequence[Problem], backend: Any, scratch: Path, settings: Any = SETTINGS) -> list[Prediction]:
    return generate(questions_of(asked), backend, scratch, settings, "test", QUIET)


# --- the scripted model -----------------------------------------------------------------------------------------------


def test_predictions_are_in_the_order_of_the_problems(tmp_path: Path) -> None:
    asked = problems(300)
    found = answer(asked, script(asked), tmp_path)
    assert [(p.language, p.id, p.text) for p in found] == [(p.language, p.id, f"answer to {p.question}") for p in asked]
    assert all(p.prompt_sha256 == sha256(prompt(q.question)) for p, q in zip(found, asked, strict=True))
    assert {p.finish for p in found} == {"stop"}


def test_a_scripted_answer_may_be_cut_off() -> None:
    requests = [Request("a", "one"), Request("b", "two"), Request("c", "three")]
    found = {c.key: c for c in Scripted({"one": "1 + 1\0", "two": "2 \0 2"}, "other").generate(requests)}
    assert (found["a"].text, found["a"].finish, found["a"].tokens) == ("1 + 1", "length", 3)
    assert (found["b"].text, found["b"].finish) == ("2 \0 2", "stop")
    assert (found["c"].text, found["c"].finish) == ("other", "stop")


def test_a_folder_without_a_script_is_refused(tmp_path: Path) -> None:
    decoding = DecodingConfig(max_new_tokens=1, backend="scripted")
    with pytest.raises(ModelError, match="is not a script"):
        open_backend(tmp_path, decoding, QUIET)
    for text in ("{", "[]", "{}", '{"answers": 1}', "1"):
        (tmp_path / "script.json").write_text(text)
        with pytest.raises(ModelError, match="is not a script"):
            open_backend(tmp_path, decoding, QUIET)
    (tmp_path / "script.json").write_text('{"answers": {"a": "b"}}')
    (completion,) = open_backend(tmp_path, decoding, QUIET).generate([Request("k", "a")])
    assert completion.text == "b"
    with pytest.raises(ModelError, match="the script has no answer to 'c'"):
        list(open_backend(tmp_path, decoding, QUIET).generate([Request("k", "c")]))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"max_new_tokens": 1, "temperature": -0.1}, "temperature -0.1"),
        ({"max_new_tokens": 1, "top_p": 0.0}, "top_p 0.0"),
        ({"max_new_tokens": 1, "top_p": 1.1}, "top_p 1.1"),
        ({"max_new_tokens": 1, "precision": "float23"}, "unknown precision 'float23': did you mean 'float32'"),
        ({"max_new_tokens": 1, "backend": "vlm"}, "unknown generation backend 'vlm'"),
    ],
)
def test_decoding_that_makes_no_sense_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        DecodingConfig(**values)


def test_every_backend_has_an_opener() -> None:
    from importlib import import_module

    for where in BACKENDS.values():
        module, name = where.split(":")
        assert callable(getattr(import_module(module), name))


# --- going on ---------------------------------------------------------------------------------------------------------

ALL = 2 * REQUESTS_PER_CHUNK + 40


def test_a_run_that_stopped_asks_only_what_is_missing(tmp_path: Path) -> None:
    asked = problems(ALL)
    undisturbed = answer(asked, script(asked), (tmp_path / "undisturbed").mkdir() or tmp_path / "undisturbed")
    stopped = Counting(script(asked), stop_after=REQUESTS_PER_CHUNK + 50)
    with pytest.raises(RuntimeError, match="stopped on purpose"):
        answer(asked, stopped, tmp_path)
    again = Counting(script(asked))
    assert answer(asked, again, tmp_path) == undisturbed
    assert again.asked.total() == ALL - REQUESTS_PER_CHUNK, "the whole chunk is kept, the broken one asked again"
    third = Counting(script(asked))
    assert answer(asked, third, tmp_path) == undisturbed
    assert third.asked.total() == 0


@pytest.mark.parametrize("size", [REQUESTS_PER_CHUNK // 2, 3 * REQUESTS_PER_CHUNK])
def test_a_run_goes_on_with_the_chunks_that_it_began_with(tmp_path: Path, size: int) -> None:
    """Another machine, or another number of rows at once, would have others."""

    class OfOtherChunks(Counting):
        chunk = size

    asked = problems(ALL)
    with pytest.raises(RuntimeError, match="stopped on purpose"):
        answer(asked, Counting(script(asked), stop_after=REQUESTS_PER_CHUNK + 50), tmp_path)
    again = OfOtherChunks(script(asked))
    answer(asked, again, tmp_path)
    assert again.asked.total() == ALL - REQUESTS_PER_CHUNK, "nothing that was kept is asked again"
    assert (tmp_path / KEPT).read_text().count("\n") == 1 + 3, "the chunks of the run that was stopped"


def test_a_model_that_answers_many_at_once_keeps_many_together(model_and_tokenizer: tuple[Any, Any]) -> None:
    for rows, expected in ((1, REQUESTS_PER_CHUNK), (512, 2048)):
        assert local(model_and_tokenizer, rows, 2, max_new_tokens=1).chunk == expected


@pytest.mark.parametrize("torn", [1, 10, 200])
def test_a_torn_last_line_is_asked_again(tmp_path: Path, torn: int) -> None:
    asked = problems(ALL)
    undisturbed = answer(asked, script(asked), tmp_path)
    kept = tmp_path / KEPT
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-torn])
    again = Counting(script(asked))
    assert answer(asked, again, tmp_path) == undisturbed
    assert again.asked.total() == 40
    assert kept.read_bytes() == whole
    assert answer(asked, Counting(script(asked), stop_after=0), tmp_path) == undisturbed


def test_a_file_cut_at_any_place_ends_in_the_same_answers(tmp_path: Path) -> None:
    asked = problems(150)
    undisturbed = answer(asked, script(asked), tmp_path)
    kept = tmp_path / KEPT
    whole = kept.read_bytes()
    draw = random.Random(3)
    header = whole.index(b"\n") + 1
    for size in (0, 1, header - 1, header, header + 1, *(draw.randrange(len(whole)) for _ in range(20))):
        kept.write_bytes(whole[:size])
        assert answer(asked, script(asked), tmp_path) == undisturbed, size
        assert kept.read_bytes() == whole, size


def test_answers_under_other_settings_are_never_taken_over(tmp_path: Path) -> None:
    asked = problems(10)
    answer(asked, script(asked), tmp_path)
    for settings in ({"decoding": {"max_new_tokens": 9}}, {"model": "other", **SETTINGS}):
        other = Counting(Scripted({}, "other"))
        assert {p.text for p in answer(asked, other, tmp_path, settings)} == {"other"}
        assert other.asked.total() == 10
    fewer = Counting(script(asked))
    answer(asked[:9], fewer, tmp_path, settings)
    assert fewer.asked.total() == 9, "other problems make other chunks"


def test_a_backend_must_answer_each_request_once(tmp_path: Path) -> None:
    asked = problems(3)

    class Forgets:
        chunk = REQUESTS_PER_CHUNK

        def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
            yield from script(asked).generate(requests[:-1])

    class Repeats:
        chunk = REQUESTS_PER_CHUNK

        def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
            yield from script(asked).generate([*requests, requests[0]])

    with pytest.raises(StageError, match="left 1 request unanswered, the first of them"):
        answer(asked, Forgets(), tmp_path)
    with pytest.raises(StageError, match="twice"):
        answer(asked, Repeats(), tmp_path)


CHILD = """
import json, sys, time
from pathlib import Path
from qalign.generation import generate, questions_of
from qalign.generation.scripted import Scripted
from qalign.placement import Placement
from qalign.records import Problem, to_json

class Slow(Scripted):
    chunk = 8

    def generate(self, requests):
        for completion in super().generate(requests):
            time.sleep(0.002)
            yield completion

scratch = Path(sys.argv[1])
asked = [Problem(str(n), "en", f"q{n}" + "x" * (n % 7), None, "1", "t") for n in range(80)]
answers = {problem.question: f"{problem.question} is {n}" for n, problem in enumerate(asked)}
(scratch / "started").touch()
found = generate(questions_of(asked), Slow(answers), scratch, {}, "test", Placement(quiet=True))
print("\\n".join(map(to_json, found)))
"""


def test_killed_at_random_moments_it_ends_with_the_same_answers(tmp_path: Path) -> None:
    def start(folder: Path) -> subprocess.Popen[str]:
        folder.mkdir(exist_ok=True)
        (folder / "started").unlink(missing_ok=True)
        return subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True)

    undisturbed, _ = start(tmp_path / "undisturbed").communicate(timeout=60)
    assert len(undisturbed.splitlines()) == 80
    draw = random.Random(20260101)
    killed = 0
    for _ in range(6):
        process = start(tmp_path / "killed")
        while not (tmp_path / "killed" / "started").exists():
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.1))
        process.kill()
        process.communicate(timeout=60)
        killed += process.returncode == -signal.SIGKILL
    assert killed >= 3, "too few of the runs were still running when they were to be killed"
    assert start(tmp_path / "killed").communicate(timeout=60)[0] == undisturbed


# --- transformers -----------------------------------------------------------------------------------------------------

INSTRUCTIONS = [
    "Eins?",
    "Wie viele Äpfel hat Anna, wenn sie drei hat und vier kauft?",
    "১৮ + ২?",
    "十八加二？",
    "x" * 60,
    "?",
]


@pytest.fixture(scope="module")
def model_and_tokenizer() -> tuple[Any, Any]:
    """A random model whose next tokens vary, so that answers end early and at different lengths."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from qalign.models.tiny import train_tokenizer

    tokenizer = train_tokenizer([prompt(text) for text in INSTRUCTIONS] * 4, 320)
    torch.manual_seed(5)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            initializer_range=0.6,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    return model.eval(), tokenizer


@pytest.fixture
def ends(model_and_tokenizer: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens that end an answer: beside the tokenizer's own, some that the model often says."""
    import torch

    model, tokenizer = model_and_tokenizer
    said: Counter[int] = Counter()
    for ids in encode_prompts([prompt(text) for text in INSTRUCTIONS], tokenizer):
        with torch.inference_mode():
            out = model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False)[0, len(ids) :].tolist()
        said.update(out[2:])
    chosen = [tokenizer.eos_token_id, *(token for token, _ in said.most_common(6)[::2])]
    monkeypatch.setattr(model.generation_config, "eos_token_id", chosen)
    return chosen


def local(model_and_tokenizer: tuple[Any, Any], batch_size: int, loops: int = 1, **decoding: Any) -> Any:
    model, tokenizer = model_and_tokenizer
    return Local(model, tokenizer, DecodingConfig(**decoding), batch_size, loops)


def answers(backend: Any, instructions: Sequence[str] = INSTRUCTIONS) -> dict[str, tuple[str, int, str]]:
    found = {
        c.key: (c.text, c.tokens, c.finish) for c in backend.generate([Request(text, text) for text in instructions])
    }
    assert len(found) == len(instructions)
    return found


def shapes_read(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Rows and new tokens of each call of the model from now on."""
    shapes: list[tuple[int, int]] = []
    forward = model.forward

    def counted(input_ids: Any, **options: Any) -> Any:
        shapes.append(tuple(input_ids.shape))
        return forward(input_ids=input_ids, **options)

    monkeypatch.setattr(model, "forward", counted)
    return shapes


@pytest.mark.parametrize("max_new_tokens", [1, 7, 24])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_greedy_answers_are_those_of_transformers_one_by_one(
    model_and_tokenizer: tuple[Any, Any], ends: list[int], batch_size: int, max_new_tokens: int
) -> None:
    import torch

    model, tokenizer = model_and_tokenizer
    expected = {}
    for text, ids in zip(INSTRUCTIONS, encode_prompts([prompt(text) for text in INSTRUCTIONS], tokenizer), strict=True):
        with torch.inference_mode():
            out = model.generate(torch.tensor([ids]), max_new_tokens=max_new_tokens, do_sample=False)[0, len(ids) :]
        new = out.tolist()
        finish = "stop" if new[-1] in ends else "length"
        kept = new[:-1] if finish == "stop" else new
        expected[text] = (tokenizer.decode(kept, skip_special_tokens=True), len(kept), finish)
    assert answers(local(model_and_tokenizer, batch_size, max_new_tokens=max_new_tokens)) == expected
    if max_new_tokens == 24:
        lengths = {tokens for _, tokens, _ in expected.values()}
        assert len(lengths) > 2, "the answers end at different lengths"
        assert {finish for *_, finish in expected.values()} == {"stop", "length"} or len(lengths) > 3


def test_places_that_fall_free_are_taken_by_others(
    model_and_tokenizer: tuple[Any, Any], ends: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = model_and_tokenizer
    instructions = [f"{text} {number}" for text in INSTRUCTIONS for number in range(6)]
    alone = answers(local(model_and_tokenizer, 1, max_new_tokens=24), instructions)
    lengths = [tokens + (finish == "stop") for _, tokens, finish in alone.values()]
    assert max(lengths) > 2 * sum(lengths) / len(lengths), "some answers are much longer than most"

    backend = local(model_and_tokenizer, 8, max_new_tokens=24)
    steps = shapes_read(model, monkeypatch)
    together = answers(backend, instructions)
    assert together == alone
    assert steps[0][0] == 1 and steps[0][1] > 8, "what all prompts begin with is read once"
    begun = [rows for rows, tokens in steps[1:] if tokens > 1]
    assert sum(begun) == len(instructions), "each prompt is read once"
    assert max(rows for rows, _ in steps) <= 8
    assert len(begun) > len(instructions) / 8, "prompts were let in while others were being answered"
    going_on = [rows for rows, tokens in steps if tokens == 1]
    needed = sum(lengths) - len(lengths)
    assert needed <= sum(going_on) < 1.25 * needed, "few steps are taken for what has ended"


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_loops_side_by_side_give_the_same_answers(
    model_and_tokenizer: tuple[Any, Any], ends: list[int], temperature: float
) -> None:
    import torch

    threads = torch.get_num_threads()
    one = answers(local(model_and_tokenizer, 4, max_new_tokens=24, temperature=temperature))
    for loops in (2, 3, 100):
        assert answers(local(model_and_tokenizer, 8, loops, max_new_tokens=24, temperature=temperature)) == one
    assert torch.get_num_threads() == threads
    assert list(local(model_and_tokenizer, 8, 2, max_new_tokens=24).generate([])) == []


def test_an_error_in_one_loop_ends_all(model_and_tokenizer: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = model_and_tokenizer
    forward, calls = model.forward, itertools.count()

    def failing(**options: Any) -> Any:
        if next(calls) == 9:
            raise RuntimeError("out of memory")
        return forward(**options)

    monkeypatch.setattr(model, "forward", failing)
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="out of memory"):
        answers(local(model_and_tokenizer, 4, 2, max_new_tokens=24))
    assert threading.active_count() == before


def test_loops_end_when_nobody_wants_more(model_and_tokenizer: tuple[Any, Any]) -> None:
    before = threading.active_count()
    made = local(model_and_tokenizer, 2, 2, max_new_tokens=24).generate([Request(text, text) for text in INSTRUCTIONS])
    next(made)
    assert threading.active_count() > before
    made.close()
    assert threading.active_count() == before


def test_many_are_answered_at_once_where_memory_allows(model_and_tokenizer: tuple[Any, Any]) -> None:
    model, _ = model_and_tokenizer
    config = model.config
    per_row = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4 * (256 + 100)
    for rows, expected in ((1, 8), (8, 8), (100, 64), (128, 128), (10_000, 512)):
        assert rows_at_once(model, 100, 4.0 * per_row * rows) == expected


def test_sampling_depends_on_seed_and_key_alone(model_and_tokenizer: tuple[Any, Any], ends: list[int]) -> None:
    def sampled(batch_size: int, instructions: Sequence[str] = INSTRUCTIONS, **other: Any) -> dict[str, Any]:
        values = {"max_new_tokens": 16, "temperature": 0.9, "top_p": 0.95, "seed": 7, **other}
        return answers(local(model_and_tokenizer, batch_size, **values), instructions)

    alone = sampled(1)
    assert sampled(1) == alone
    assert sampled(3) == alone
    assert sampled(64, INSTRUCTIONS[::-1]) == alone
    assert sampled(64, INSTRUCTIONS[:2]) == {text: alone[text] for text in INSTRUCTIONS[:2]}
    assert sampled(64, seed=8) != alone
    assert sampled(64, temperature=1.5) != alone
    greedy = answers(local(model_and_tokenizer, 64, max_new_tokens=16))
    assert greedy != alone
    assert sampled(64, top_p=1e-6) == greedy, "of the most probable token alone, the greedy answer"


def test_samples_of_one_prompt_read_it_once_and_are_drawn_apart(
    model_and_tokenizer: tuple[Any, Any], ends: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = model_and_tokenizer
    questions = [Question(str(n), "en", text, sample) for n, text in enumerate(INSTRUCTIONS[:4]) for sample in range(5)]
    values = {"max_new_tokens": 12, "temperature": 0.9, "samples": 5}

    def drawn(batch_size: int, note: bool = False) -> dict[str, str]:
        backend = local(model_and_tokenizer, batch_size, **values)
        if note:
            monkeypatch.setattr(model, "forward", noting)
        asked = [Request(question.key, question.instruction) for question in questions]
        return {answer.key: answer.text for answer in backend.generate(asked)}

    read: list[int] = []
    forward = model.forward

    def noting(**options: Any) -> Any:
        ids = options["input_ids"]
        read.extend([ids.shape[1]] * ids.shape[0] if ids.shape[1] > 1 else [])
        return forward(**options)

    alone = drawn(1)
    assert drawn(64, note=True) == alone, "an answer depends on its seed and question, not on its company"
    assert len(read) == 1 + 4, "what all begin with, and then each prompt, once"
    monkeypatch.setattr(model, "forward", forward)
    assert drawn(7) == alone
    assert len(set(alone.values())) > 4, "samples of one question differ"


def test_sampling_draws_from_the_smallest_set_of_probability_top_p(model_and_tokenizer: tuple[Any, Any]) -> None:
    import torch

    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    for top_p, expected in ((0.4, {0}), (0.6, {0, 1}), (0.85, {0, 1, 2}), (1.0, {0, 1, 2, 3})):
        backend = local(model_and_tokenizer, 1, max_new_tokens=1, temperature=1.0, top_p=top_p)
        drawn = {int(backend._choose(logits, [backend._generator(str(key))])) for key in range(150)}
        assert drawn == expected, top_p


def test_an_answer_that_ends_at_once_is_empty(
    model_and_tokenizer: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = model_and_tokenizer
    monkeypatch.setattr(model.generation_config, "eos_token_id", list(range(model.config.vocab_size)))
    assert set(answers(local(model_and_tokenizer, 4, max_new_tokens=5)).values()) == {("", 0, "stop")}


def test_the_keys_of_a_backend_are_kept_apart_from_their_texts(model_and_tokenizer: tuple[Any, Any]) -> None:
    backend = local(model_and_tokenizer, 2, max_new_tokens=3)
    found = list(backend.generate([Request("a", "same"), Request("b", "same"), Request("c", "other")]))
    assert sorted(c.key for c in found) == ["a", "b", "c"]
    assert len({c.text for c in found if c.key in "ab"}) == 1
    assert {c.prompt_sha256 for c in found} == {
        hashlib.sha256(prompt(t).encode()).hexdigest() for t in ("same", "other")
    }


def test_no_request_is_no_work(model_and_tokenizer: tuple[Any, Any]) -> None:
    assert list(local(model_and_tokenizer, 2, max_new_tokens=3).generate([])) == []
