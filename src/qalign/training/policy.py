"""Group-relative policy optimisation (GRPO, arXiv 2402.03300): advantages of sampled answers, and their loss.

A step samples several answers to each of some problems and takes one step on all of them. The model that sampled is the
model that is trained, so the ratio of the two is 1 and clipping has no effect. Parts of the loss are those of TRL's
`GRPOTrainer`, with which a test compares it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Literal

from ..errors import SettingError
from .batches import Batch, MicroBatch, collate
from .config import Adapter, TrainingConfig
from .tokens import TokenizedExamples

if TYPE_CHECKING:
    import torch

SPREAD = 1e-4
"""What TRL adds to a standard deviation before it divides by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinforceConfig:
    """Hyper-parameters of reinforcement learning. Defaults are those of TRL 1.16 where it has any."""

    steps: int = 200
    """Optimizer steps, each on newly sampled answers."""
    problems_per_step: int = 16
    """Problems of a step."""
    samples: int = 8
    """Answers to each problem, which are compared with each other."""
    learning_rate: float = 1e-6
    """The highest learning rate, reached after warm-up. It then falls to 0 along a cosine."""
    warmup_ratio: float = 0.03
    """The share of all steps in which the learning rate rises from 0."""
    temperature: float = 1.0
    """The temperature of sampling, and of the probabilities in the loss."""
    max_new_tokens: int = 512
    """The most tokens of an answer. A truncated answer has the reward 0."""
    beta: float = 0.0
    """The weight of the divergence from the model before. 0 needs no second copy of it."""
    loss: Literal["dapo", "grpo"] = "dapo"
    """`dapo` is the mean over all tokens (arXiv 2503.14476), `grpo` over answers of the mean of each."""
    probe_problems: int = 32
    """Problems that are answered before the first step, to refuse what could not learn."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm."""
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """The precision of forward and backward passes, and of sampling."""
    seed: int = 1234
    """The seed of the order of problems and of sampling."""
    adapter: Adapter | None = None
    """`on` trains a low-rank adapter (LoRA), `none` all weights. Setting one of its fields turns it on."""

    def __post_init__(self) -> None:
        for name in ("steps", "problems_per_step", "max_new_tokens", "probe_problems", "temperature"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.samples < 2:
            raise SettingError(f"samples is {self.samples}; give 2 or more, for answers are compared with each other")
        if self.beta < 0:
            raise SettingError(f"beta is {self.beta:g}; it must be 0 or more")
        self.training  # noqa: B018 - it checks the other fields

    @property
    def training(self) -> TrainingConfig:
        """The same values as the `Trainer` takes them. Its batches are of problems, and there are epochs enough."""
        return TrainingConfig(
            epochs=self.steps, max_steps=self.steps, global_batch_size=self.problems_per_step, adapter=self.adapter,
            learning_rate=self.learning_rate, warmup_ratio=self.warmup_ratio, max_grad_norm=self.max_grad_norm,
            precision=self.precision, seed=self.seed,
        )  # fmt: skip


def advantages(rewards: Sequence[float], samples: int) -> list[float]:
    """By how many standard deviations each reward is above the mean of its problem, which has `samples` in a row."""
    found: list[float] = []
    for start in range(0, len(rewards), samples):
        group = rewards[start : start + samples]
        mean, spread = fmean(group), stdev(group)
        found += [(reward - mean) / (spread + SPREAD) for reward in group]
    return found


def as_batch(
    prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], advantage: Sequence[float], loss: str
) -> Batch:
    """Sampled answers as a batch of the `Trainer`. Its weights make its mean that of the loss `dapo` or `grpo`."""
    import numpy as np

    lengths = [len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True)]
    both = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
    values = np.zeros((2, sum(lengths)), dtype=np.float32)
    values[0] = np.repeat(np.asarray(advantage, dtype=np.float32), lengths)
    examples = TokenizedExamples(
        ids=np.concatenate(both).astype(np.int32),
        starts=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)]),
        prompt_tokens=np.asarray([len(prompt) for prompt in prompts], dtype=np.int32),
        values=values,
    )
    weights = [1.0 / len(answer) for answer in answers] if loss == "grpo" else [1.0] * len(answers)
    return Batch(examples, range(len(answers)), weights)


def log_probabilities(temperature: float) -> Callable[[torch.Tensor, MicroBatch], torch.Tensor]:
    """A function from logits (tokens, vocabulary) to the log probability of each target (tokens,), in float32."""
    from torch.nn.functional import cross_entropy

    return lambda logits, batch: -cross_entropy(logits.float() / temperature, batch.targets, reduction="none")


def policy_loss(beta: float, temperature: float) -> Callable[[torch.Tensor, MicroBatch], torch.Tensor]:
    """The weighted loss of a micro-batch, summed, as a function of its logits (tokens, vocabulary).

    The divergence is estimated by k3 times the ratio, whose gradient is unbiased (arXiv 2512.02556).
    """
    read = log_probabilities(temperature)

    def summed(logits: torch.Tensor, batch: MicroBatch) -> torch.Tensor:
        assert batch.values is not None and batch.weights is not None, "the batch is one of `as_batch`"
        advantage, reference = batch.values
        probability = read(logits, batch)
        ratio = (probability - probability.detach()).exp()  # 1, with the gradient of the log probability
        losses = -advantage
        if beta:
            gap = reference - probability
            losses = losses + beta * (gap.exp() - gap - 1)
        total: torch.Tensor = (ratio * losses * batch.weights).sum()
        return total

    return summed


def fill_reference(batch: Batch, read: Callable[[MicroBatch], torch.Tensor], budget: int) -> None:
    """Puts the log probabilities that a reference model gives the answers into the batch."""
    examples = batch.examples
    assert examples.values is not None
    for part in batch.micro_batches(budget)[0]:
        found, start = read(collate(part)).float().cpu().numpy(), 0
        for index in part.indices:
            first, end = int(examples.starts[index] + examples.prompt_tokens[index]), int(examples.starts[index + 1])
            examples.values[1, first:end] = found[start : start + end - first]
            start += end - first
