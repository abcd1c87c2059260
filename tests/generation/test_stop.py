"""Stop texts: an answer ends before the first of them, whatever generates it, and other answers stay as they were."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from servers import Serve, wait_for
from test_endpoint import placed, start  # noqa: F401 (a fixture)

from qalign.errors import SettingError
from qalign.generation import DecodingConfig, Request, open_backend
from qalign.generation.vllm_engine import Engine
from qalign.models.opening import load_tokenizer
from qalign.pipeline.stage import plain
from qalign.placement import Placement
from qalign.systems.bases import WORLD_FOLDER

QUESTIONS = [f"Anna has {n} apples and buys {2 * n} more. How many apples has Anna?" for n in range(3, 9)]


def local(limit: int, *stop: str) -> dict[str, tuple[str, int, str]]:
    """The text, tokens and end of each answer of the world's base."""
    decoding = DecodingConfig(max_new_tokens=limit, stop=stop or None)
    backend = open_backend(WORLD_FOLDER, decoding, Placement(quiet=True, device="cpu", batch_size=4))
    answers = backend.generate([Request(text, text) for text in QUESTIONS])
    return {answer.key: (answer.text, answer.tokens, answer.finish) for answer in answers}


def test_an_answer_ends_before_the_first_stop_text() -> None:
    free = local(40)
    texts = [text for text, *_ in free.values()]
    assert min(map(len, texts)) > 12
    stops = texts[0][6:9], texts[1][4:8], "never said"
    stopped = local(40, *stops)
    assert stopped != free
    for key, (text, tokens, finish) in free.items():
        places = [text.find(stop) for stop in stops if stop in text]
        if not places:
            assert stopped[key] == (text, tokens, finish)
        else:
            assert (stopped[key][0], stopped[key][2]) == (text[: min(places)], "stop")
            assert stopped[key][1] <= tokens
    assert stopped[QUESTIONS[0]][1] < free[QUESTIONS[0]][1]  # it did not go on to the limit


def test_the_first_text_counts_not_the_first_that_was_given() -> None:
    decoding = DecodingConfig(max_new_tokens=1, stop=("USER", "Response", "Q"))
    assert decoding.ended("72 Response Q USER", "length") == ("72 ", "stop")
    assert decoding.ended("72 response", "length") == ("72 response", "length")
    assert decoding.ended("Q", "stop") == ("", "stop")


def test_the_engine_looks_for_them_in_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=SimpleNamespace))
    tokenizer = load_tokenizer(WORLD_FOLDER)
    ids = tokenizer("She has 12 apples. Question: 3", add_special_tokens=False)["input_ids"]
    sent = []

    def generate(prompts: list[object], sampling: list[SimpleNamespace], use_tqdm: bool) -> list[SimpleNamespace]:
        sent.extend(sampling)
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=ids, finish_reason="stop")])]

    for stop, text in (("Question", "USER"), "She has 12 apples. "), (None, "She has 12 apples. Question: 3"):
        decoding = DecodingConfig(max_new_tokens=99, stop=stop or None)
        (answer,) = Engine(SimpleNamespace(generate=generate), tokenizer, decoding, [2]).generate([Request("k", "Eva")])
        assert answer.text.strip() == text.strip()
        assert (sent[-1].stop, sent[-1].detokenize) == (list(stop or ()), bool(stop))


def test_a_server_is_sent_four_and_answers_are_cut_at_all(start: Serve, port: int, tmp_path: Path) -> None:  # noqa: F811
    start()
    wait_for(port)
    stop = ("A", "B", "C", "D", "question")
    for given, text in ((stop, "answer to "), (None, "answer to question 1")):
        decoding = DecodingConfig(max_new_tokens=7, backend="endpoint", stop=given)
        (answer,) = open_backend(tmp_path, decoding, placed(port)).generate([Request("k", "question 1")])
        assert answer.text == text
    stops = (tmp_path / "log.stops").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in stops] == [["A", "B", "C", "D"], None]


def test_no_stop_text_is_no_part_of_the_identity_and_an_empty_one_is_refused() -> None:
    assert "stop" not in str(plain(DecodingConfig(max_new_tokens=1)))
    assert "USER" in str(plain(DecodingConfig(max_new_tokens=1, stop=("USER",))))
    with pytest.raises(SettingError, match="stop holds an empty text"):
        DecodingConfig(max_new_tokens=1, stop=("USER", ""))
