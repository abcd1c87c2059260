"""GRPO: one step's loss and gradient equal those of a reference written out here, and those of TRL."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from qalign.errors import SettingError
from qalign.models.opening import load_model
from qalign.placement import Placement
from qalign.training.accelerator import make_accelerator
from qalign.training.batches import Batch
from qalign.training.loss import SupervisedLoss
from qalign.training.policy import (
    ReinforceConfig,
    advantages,
    as_batch,
    fill_reference,
    log_probabilities,
    policy_loss,
)
from qalign.training.trainer import Trainer

Tokens = list[list[int]]
SAMPLES = 4
REWARDS = [1.0, 0.0, 0.5, 0.0, 1.0, 1.0, 1.0, 0.0, 0.5, 0.5, 0.5, 0.5]
"""Three problems; the last has answers of one reward, from which nothing is learnt."""


def perturbed(folder: Path) -> Any:
    """A policy that is no longer the model that it started from."""
    model = load_model(folder, torch.float32)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=draw)
    return model


def ours(folder: Path, config: ReinforceConfig, prompts: Tokens, answers: Tokens, tokens: int = 300) -> Any:
    """Loss and gradients of a step of the package's own trainer."""
    placement = Placement(device="cpu", tokens_per_micro_batch=tokens, trackers=(), quiet=True)
    trainer = Trainer(perturbed(folder), config.training, placement, make_accelerator(config.training, placement))
    trainer.loss.summed = policy_loss(config.beta, config.temperature)
    batch = as_batch(prompts, answers, advantages(REWARDS, SAMPLES), config.loss)
    if config.beta:
        before = load_model(folder, torch.float32).eval()
        read = SupervisedLoss(before)
        read.summed = log_probabilities(config.temperature)
        with torch.inference_mode():
            fill_reference(batch, lambda part: read(before, part), tokens)
    loss = trainer.backward(batch) / batch.total_weight
    found = loss, {name: one.grad.clone() for name, one in trainer.model.named_parameters()}
    trainer.close()
    return found


def written_out(folder: Path, config: ReinforceConfig, prompts: Tokens, answers: Tokens) -> Any:
    """The same by the formula of arXiv 2402.03300, equation 3, an answer at a time, with the divergence of arXiv 2512.02556."""
    model, before = perturbed(folder), load_model(folder, torch.float32)
    losses = []
    for group in range(0, len(answers), SAMPLES):
        rewards = torch.tensor(REWARDS[group : group + SAMPLES])
        for place, reward in enumerate(rewards, start=group):
            advantage = (reward - rewards.mean()) / (rewards.std() + 1e-4)
            ids, first = torch.tensor([prompts[place] + answers[place]]), len(prompts[place])

            def probabilities(model: Any, ids: torch.Tensor = ids, first: int = first) -> torch.Tensor:
                logits = model(input_ids=ids).logits[0, first - 1 : -1] / config.temperature
                return logits.log_softmax(-1).gather(-1, ids[0, first:, None])[:, 0]

            now, then = probabilities(model), probabilities(before).detach()
            divergence = (then - now).exp() - (then - now) - 1
            losses.append((now - now.detach()).exp() * (config.beta * divergence - advantage))
    loss = torch.cat(losses).mean() if config.loss == "dapo" else torch.stack([one.mean() for one in losses]).mean()
    loss.backward()
    return loss, {name: one.grad for name, one in model.named_parameters()}


def of_trl(folder: Path, config: ReinforceConfig, output: Path) -> Any:
    """Loss and gradients of TRL on answers that it sampled, and these."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    rewards = itertools.cycle(REWARDS)
    questions = ["Ann has 3 apples.", "How many?", "Then 2 + 3 = 5. And then?"]
    arguments = GRPOConfig(
        output_dir=str(output), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none",
        per_device_train_batch_size=len(REWARDS), num_generations=SAMPLES, max_completion_length=9,
        temperature=config.temperature, beta=config.beta, loss_type=config.loss, disable_dropout=True,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=str(folder), reward_funcs=[lambda completions, **_: [next(rewards) for _ in completions]], args=arguments,
        train_dataset=Dataset.from_list([{"prompt": text} for text in questions]),
        processing_class=AutoTokenizer.from_pretrained(folder, padding_side="left"),
    )  # fmt: skip
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.load_state_dict(perturbed(folder).state_dict())
    trainer.model.train()
    asked = [{"prompt": text} for text in questions for _ in range(SAMPLES)]
    inputs = trainer._generate_and_score_completions(asked)
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()
    kept = [
        [ids[mask.bool()].tolist() for ids, mask in zip(inputs[f"{name}_ids"], inputs[f"{name}_mask"], strict=True)]
        for name in ("prompt", "completion")
    ]
    return loss.detach(), {name: one.grad for name, one in trainer.model.named_parameters()}, *kept


def alike(one: Any, other: Any) -> None:
    """Losses and gradients agree up to the order of sums in float32."""
    torch.testing.assert_close(one[0], other[0], rtol=1e-4, atol=1e-6)
    assert one[1].keys() == other[1].keys()
    largest = max(float(gradient.abs().max()) for gradient in one[1].values())
    assert largest > 1e-3, "the gradient is not nothing"
    for name, gradient in one[1].items():
        torch.testing.assert_close(
            gradient, other[1][name], rtol=1e-3, atol=1e-4 * largest, msg=lambda m, n=name: f"{n}: {m}"
        )


SETTINGS = [
    ReinforceConfig(precision="float32", samples=SAMPLES),
    ReinforceConfig(precision="float32", samples=SAMPLES, loss="grpo", beta=0.5, temperature=0.7),
    ReinforceConfig(precision="float32", samples=SAMPLES, loss="grpo", beta=0.5),
    ReinforceConfig(precision="float32", samples=SAMPLES, temperature=0.7),
]


@pytest.mark.parametrize("config", SETTINGS, ids=lambda config: f"{config.loss}-{config.beta:g}")
def test_a_step_is_that_of_the_formula_however_it_is_cut(base: Path, config: ReinforceConfig) -> None:
    draw = torch.Generator().manual_seed(1)

    def tokens(length: int) -> list[int]:
        return torch.randint(5, 300, (length,), generator=draw).tolist()

    prompts = [prompt for length in (7, 3, 12) for prompt in [tokens(length)] * SAMPLES]
    answers = [tokens(length) for length in (1, 5, 9, 4, 2, 2, 8, 3, 6, 1, 7, 5)]
    reference = written_out(base, config, prompts, answers)
    alike(ours(base, config, prompts, answers), reference)
    alike(ours(base, config, prompts, answers, tokens=20), reference)


@pytest.mark.parametrize("config", SETTINGS, ids=lambda config: f"{config.loss}-{config.beta:g}")
def test_a_step_is_that_of_trl(base: Path, tmp_path: Path, config: ReinforceConfig) -> None:
    pytest.importorskip("trl", reason="the extra rl is not installed")
    *theirs, prompts, answers = of_trl(base, config, tmp_path)
    alike(ours(base, config, prompts, answers), theirs)


def test_answers_of_one_reward_have_no_advantage() -> None:
    assert advantages([0.5] * 4 + [1, 0], 2) == pytest.approx([0] * 4 + [0.70701, -0.70701], abs=1e-4)


def test_the_weights_of_a_batch_make_its_mean() -> None:
    make: Callable[[str], Batch] = lambda loss: as_batch([[1], [1]], [[2, 3, 4], [5]], [1.0, -1.0], loss)  # noqa: E731
    assert (make("dapo").total_weight, make("dapo").supervised) == (4, 4)
    assert make("grpo").total_weight == pytest.approx(2)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"samples": 1}, "samples is 1; give 2 or more"),
        ({"steps": 0}, "steps is 0"),
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"beta": -0.1}, "beta is -0.1"),
        ({"learning_rate": 2.0}, "learning_rate is 2"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_values_that_cannot_be_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        ReinforceConfig(**values)
