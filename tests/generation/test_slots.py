"""Slots: sequences come, move and go, and each has the logits that it has alone; captured steps give the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from qalign.generation import DecodingConfig, slots
from qalign.generation.local import Local
from qalign.generation.slots import Slot, Slots, read, room

VOCABULARY = 64


class Tokenizer:
    eos_token_id, bos_token_id, pad_token_id, name_or_path = 2, 1, 0, "none"


@pytest.fixture(scope="module")
def model() -> Any:
    """A random model whose next tokens vary."""
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.6, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def prompts(number: int, seed: int = 0) -> list[list[int]]:
    """Prompts that begin with the same five tokens."""
    draw = random.Random(seed)
    return [
        [7, 8, 9, 10, 11, *(draw.randrange(3, VOCABULARY) for _ in range(draw.randint(1, 20)))] for _ in range(number)
    ]


def alone(model: Any, ids: list[int]) -> torch.Tensor:
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]  # type: ignore[no-any-return]


@pytest.mark.parametrize("captured", [False, True])
def test_each_sequence_has_the_logits_that_it_has_alone(model: Any, captured: bool) -> None:
    draw = random.Random(3)
    waiting = prompts(40)
    held = Slots(model, 6, 48, captured=captured)
    steps = 0
    with torch.inference_mode():
        shared = read(model, [waiting[0][:5]])
        while waiting or held:
            if waiting and held.free:
                taken = [waiting.pop() for _ in range(min(len(held.free), len(waiting), draw.randint(1, 6)))]
                found = read(model, taken, shared if draw.random() < 0.5 else None)
                for row, prompt in enumerate(taken):
                    torch.testing.assert_close(found.logits[row], alone(model, prompt), rtol=1e-4, atol=1e-4)
                fresh = [Slot(prompt_tokens=len(prompt), answer=list(prompt)) for prompt in taken]
                numbers = held.put(fresh, found, list(range(len(taken))))
                chosen = found.logits.argmax(-1)
                held.ids[numbers] = chosen
                for slot, token in zip(fresh, chosen.tolist(), strict=True):
                    slot.answer.append(token)
            for slot in held.slots:  # `answer` holds the prompt too
                slot.prompt_tokens = 0
            logits = held.advance(held.shape(), lambda logits, _: logits.argmax(-1))
            steps += 1
            for number in held.answering:
                slot = held.slots[number]
                torch.testing.assert_close(logits[number], alone(model, slot.answer), rtol=1e-4, atol=1e-4)
                slot.answer.append(int(held.ids[number]))
            held.finish(
                [number for number in held.answering if len(held.slots[number].answer) > 28 or draw.random() < 0.1]
            )
            if held and not waiting and draw.random() < 0.5:
                held.drop_free()
    assert steps > 20


def test_samples_of_one_prompt_share_what_was_read(model: Any) -> None:
    one, other = prompts(2)
    held = Slots(model, 3, 40)
    with torch.inference_mode():
        found = read(model, [one, other])
        held.put([Slot(prompt_tokens=len(ids)) for ids in (one, one, other)], found, [0, 0, 1])
        held.ids[:] = torch.tensor([4, 5, 6])
        logits = held.advance((3, max(len(one), len(other)) + 1), lambda logits, _: logits.argmax(-1))
        for row, ids in zip(logits, ([*one, 4], [*one, 5], [*other, 6]), strict=True):
            torch.testing.assert_close(row, alone(model, ids), rtol=1e-4, atol=1e-4)


Step = Callable[[], torch.Tensor]


class Graphs:
    """Graphs without a GPU: a replay takes the captured step again, with the arguments of its capture."""

    def __init__(self, fault: str = "") -> None:
        self.fault, self.captured, self.replayed = fault, 0, 0

    def __call__(self, step: Step) -> tuple[Callable[[], None], torch.Tensor]:
        self.captured += 1
        if self.fault == "cannot":
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        filled = torch.empty(0)

        def replay() -> None:
            self.replayed += 1
            logits = step()
            filled.resize_(logits.shape).copy_(logits + (1.0 if self.fault == "differs" else 0.0))

        return replay, filled


def answers(model: Any, batch_size: int, *, drawn: bool = False, captured: bool = False, **decoding: Any) -> Any:
    local = Local(model, Tokenizer(), DecodingConfig(max_new_tokens=20, **decoding), batch_size, 1, captured)  # type: ignore[arg-type]
    local.ends, local.drawn = [2, 5, 17, 40], drawn
    found = {}
    for seed in (0, 1):  # two chunks
        asked = prompts(30, seed)
        for place, ids, finish in local.answers(asked, [f"{seed}/{place}" for place in range(30)]):
            found[seed, place] = (ids, finish)
    assert len(found) == 60 and len({len(ids) for ids, _ in found.values()}) > 8
    return found


@pytest.mark.parametrize("batch_size", [3, 7, 64])
def test_captured_steps_give_the_answers_of_a_plain_loop(
    model: Any, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    graphs = Graphs()
    monkeypatch.setattr(slots, "graph_of", graphs)
    monkeypatch.setattr(slots, "COLUMNS", 8)
    assert answers(model, batch_size, captured=True) == answers(model, 5)
    assert graphs.captured < 30 < graphs.replayed, "few shapes, many steps"
    sampled = {"temperature": 0.9, "top_p": 0.9}
    assert answers(model, batch_size, captured=True, drawn=True, **sampled) == answers(model, 5, drawn=True, **sampled)


@pytest.mark.parametrize(("fault", "says"), [("cannot", "not permitted when"), ("differs", "gives other logits")])
def test_a_graph_that_cannot_be_trusted_is_not_used(
    model: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str, says: str
) -> None:
    graphs = Graphs(fault)
    monkeypatch.setattr(slots, "graph_of", graphs)
    assert answers(model, 7, captured=True) == answers(model, 7)
    assert graphs.captured == 1
    said = capsys.readouterr()
    assert (said.out + said.err).count("\n") == 1 and says in said.out + said.err


def test_samples_drawn_on_the_device_depend_on_seed_and_key_alone(model: Any) -> None:
    sampled = {"temperature": 0.9, "drawn": True}
    found = answers(model, 1, **sampled)
    assert answers(model, 9, **sampled) == found
    assert answers(model, 9, seed=8, **sampled) != found
    assert answers(model, 9, temperature=0.9) != answers(model, 9)
    assert answers(model, 9, **sampled, top_p=1e-6) == answers(model, 9), "of the most probable token alone"


def test_samples_drawn_on_the_device_have_the_probabilities_of_the_model(model: Any) -> None:
    chance = torch.tensor([0.5, 0.3, 0.0, 0.15, 0.05])
    random = torch.arange(1000)[:, None] / 1000
    for top_p, share in ((1.0, chance), (0.6, torch.tensor([0.625, 0.375, 0.0, 0.0, 0.0]))):
        local = Local(model, Tokenizer(), DecodingConfig(max_new_tokens=1, temperature=2.0, top_p=top_p), 1)  # type: ignore[arg-type]
        drawn = local._choose(2.0 * chance.log().expand(1000, -1), random)
        torch.testing.assert_close(drawn.bincount(minlength=5) / 1000, share, atol=2e-3, rtol=0)


def test_a_model_has_slots_where_a_trial_has_the_same_logits(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert room(model) > 10**9
    monkeypatch.setattr(model, "_is_stateful", True, raising=False)
    assert room(model) == 0
    monkeypatch.setattr(model, "_is_stateful", False)
    forward = model.forward

    def by_mask(**options: Any) -> Any:  # as ALiBi, which counts positions by a mask of two dimensions
        out = forward(**options)
        mask = options.get("attention_mask")
        out.logits += 0 if mask is None or mask.ndim == 2 else 1
        return out

    monkeypatch.setattr(model, "forward", by_mask)
    assert room(model) == 0
