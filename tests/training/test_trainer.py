"""The trainer from outside: own batches with weights, a state that is saved and resumed, and a model at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file

from qalign.errors import DataError, ModelError, SettingError
from qalign.models.opening import load_model, load_tokenizer
from qalign.placement import Placement
from qalign.records import Example
from qalign.training import Adapter
from qalign.training.accelerator import make_accelerator, reset
from qalign.training.batches import Batch, collate
from qalign.training.config import TrainingConfig
from qalign.training.tokens import TokenizedExamples, tokenize
from qalign.training.trainer import Trainer

CONFIG = TrainingConfig(precision="float32", learning_rate=3e-3, seed=7)
PLACEMENT = Placement(device="cpu", tokens_per_micro_batch=1000, trackers=(), quiet=True)
RATES = (1e-3, 3e-3, 2e-3, 1e-3, 5e-4, 1e-4)
Weights = dict[str, torch.Tensor]
MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def make_trainer(base: Path) -> Iterator[MakeTrainer]:
    def make(
        config: TrainingConfig = CONFIG, placement: Placement = PLACEMENT, examples: TokenizedExamples | None = None
    ) -> Trainer:
        return Trainer(
            load_model(base, torch.float32), config, placement, make_accelerator(config, placement), examples
        )

    yield make
    reset()


@pytest.fixture
def tokens(base: Path, examples: list[Example]) -> TokenizedExamples:
    return tokenize(examples, load_tokenizer(base), CONFIG)


def weights_of(trainer: Trainer) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in trainer.model.state_dict().items()}


def assert_equal(some: Weights, others: Weights) -> None:
    """To the bit."""
    assert some.keys() == others.keys()
    assert [name for name, tensor in some.items() if not torch.equal(tensor, others[name])] == []


def own_batch(tokens: TokenizedExamples, step: int) -> Batch:
    """Twenty examples with weights, some of them 0, one below."""
    return Batch(
        tokens,
        [(step * 13 + 7 * place) % len(tokens) for place in range(20)],
        [(0.0, 1.0, 2.5, 0.3, -0.5)[(step + place) % 5] for place in range(20)],
    )


# --- weights ----------------------------------------------------------------------------------------------------------


def gradients_after(trainer: Trainer, batch: Batch) -> Weights:
    trainer.backward(batch)
    return {name: parameter.grad.clone() for name, parameter in trainer.model.named_parameters()}


@pytest.mark.parametrize("shared", [False, True])
def test_weights_of_one_change_no_bit(shared: bool, make_trainer: MakeTrainer, tokens: TokenizedExamples) -> None:
    indices = list(range(40, 0, -1))
    plain, weighted = (make_trainer(examples=tokens if shared else None) for _ in range(2))
    for rate in RATES[:3]:
        one = plain.step(Batch(tokens, indices), rate)
        other = weighted.step(Batch(tokens, indices, [1.0] * len(indices)), rate)
        assert (float(one.loss), float(one.gradient_norm)) == (float(other.loss), float(other.gradient_norm))
    assert_equal(weights_of(plain), weights_of(weighted))
    assert plain.progress == weighted.progress


def test_an_example_of_weight_zero_is_as_if_it_were_not_there(
    make_trainer: MakeTrainer, tokens: TokenizedExamples
) -> None:
    with_it, without = make_trainer(), make_trainer()
    one = with_it.step(Batch(tokens, [3, 8, 5, 120], [2.0, 0.0, 0.5, 1.0]))
    other = without.step(Batch(tokens, [5, 3, 120], [0.5, 2.0, 1.0]))
    assert float(one.loss) == float(other.loss)
    assert_equal(weights_of(with_it), weights_of(without))
    assert with_it.progress == without.progress
    assert with_it.progress.tokens == sum(tokens.lengths[i] for i in (3, 5, 120))


@pytest.mark.parametrize("budget", [1, 1000, 10**9])
@pytest.mark.parametrize("shared", [False, True])
def test_a_weighted_loss_is_the_flat_loops(
    budget: int, shared: bool, make_trainer: MakeTrainer, base: Path, flat_loop: ModuleType, examples: list[Example],
    tokens: TokenizedExamples,
) -> None:  # fmt: skip
    """The sum of weighted losses of tokens, over the sum of the weights of tokens: loss and gradients."""
    batch = own_batch(tokens, 0)
    tokenizer, model = load_tokenizer(base), load_model(base, torch.float32)
    summed, divisor = torch.zeros(()), 0.0
    for index, weight in zip(batch.indices, batch.weights or (), strict=True):
        ids, prompt = flat_loop.tokenize(tokenizer, examples[index].instruction, examples[index].response)
        summed = summed + weight * flat_loop.summed_loss(model, [(ids, prompt)])
        divisor += abs(weight) * (len(ids) - prompt)
    (summed / divisor).backward()
    placement = Placement(device="cpu", tokens_per_micro_batch=budget, trackers=())
    trainer = make_trainer(placement=placement, examples=tokens if shared else None)
    gradients = gradients_after(trainer, batch)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        difference = (gradients[name] - parameter.grad).norm() / parameter.grad.norm()
        assert difference < 1e-5, f"{name} differs by {difference:.1e}"
    trainer.optimizer.zero_grad()
    assert float(trainer.step(batch).loss) == pytest.approx(float(summed.detach()) / divisor, rel=1e-5)


def test_an_example_that_stands_twice_counts_twice(make_trainer: MakeTrainer, tokens: TokenizedExamples) -> None:
    twice = gradients_after(make_trainer(), Batch(tokens, [3, 5, 3], [1.0, 1.0, 0.5]))
    once = gradients_after(make_trainer(), Batch(tokens, [3, 5], [1.5, 1.0]))
    for name, gradient in twice.items():
        torch.testing.assert_close(gradient, once[name], rtol=1e-4, atol=1e-6)


def test_weights_stand_at_the_tokens_of_their_examples(tokens: TokenizedExamples) -> None:
    [[whole]] = Batch(tokens, [9, 2, 30], [0.25, 4.0, 0.5]).micro_batches(10**9)
    longest_first = sorted([(2, 4.0), (9, 0.25), (30, 0.5)], key=lambda pair: -tokens.lengths[pair[0]])
    weights = collate(whole).weights
    assert weights is not None
    assert weights.tolist() == [weight for index, weight in longest_first for _ in range(tokens.supervised[index])]


@pytest.mark.parametrize(
    ("indices", "weights", "message"),
    [
        ([1, 2], [1.0], "2 examples and 1 weights"),
        ([1], [math.nan], "the weight nan"),
        ([1], [math.inf], "the weight inf"),
        ([1, 2], [0.0, 0.0], "no example of a batch has a weight other than 0"),
        ([], None, "no example of a batch"),
    ],
)
def test_a_batch_that_has_no_loss_is_refused(
    indices: Sequence[int], weights: Sequence[float] | None, message: str,
    make_trainer: MakeTrainer, tokens: TokenizedExamples,
) -> None:  # fmt: skip
    trainer = make_trainer()
    before = weights_of(trainer)
    with pytest.raises(DataError, match=message):
        trainer.step(Batch(tokens, indices, weights))
    assert_equal(weights_of(trainer), before)
    assert trainer.progress.step == 0


# --- save and resume --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(CONFIG, id="full"),
        pytest.param(TrainingConfig(learning_rate=3e-3, adapter=Adapter(rank=4, dropout=0.3)), id="dropout"),
    ],
)
def test_own_weighted_batches_saved_and_resumed_end_with_the_same_weights(
    config: TrainingConfig, make_trainer: MakeTrainer, tokens: TokenizedExamples, base: Path, tmp_path: Path
) -> None:
    """A user's own loop: no job, no folder of examples. A second trainer goes on from the state of the first."""
    undisturbed = make_trainer(config)
    for step, rate in enumerate(RATES):
        undisturbed.step(own_batch(tokens, step), rate)
    first = make_trainer(config)
    for step in range(3):
        first.step(own_batch(tokens, step), RATES[step])
    first.save(tmp_path / "state")
    first.step(own_batch(tokens, 5), 1.0)  # what comes after the state is not part of it
    second = make_trainer(config)
    second.resume(tmp_path / "state")
    assert second.progress.step == 3
    while second.progress.step < len(RATES):
        second.step(own_batch(tokens, second.progress.step), RATES[second.progress.step])
    assert_equal(weights_of(second), weights_of(undisturbed))
    assert second.progress == undisturbed.progress
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]

    second.export(load_tokenizer(base), tmp_path / "model")
    second.close()
    trained, start = load_file(tmp_path / "model" / "model.safetensors"), load_file(base / "model.safetensors")
    assert trained.keys() == start.keys()
    assert any(not torch.equal(trained[name].float(), start[name]) for name in start)
    load_model(tmp_path / "model", torch.float32)


def test_a_state_is_not_written_over(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_trainer()
    trainer.save(tmp_path / "state")
    with pytest.raises(SettingError, match="state exists already; name a new folder"):
        trainer.save(tmp_path / "state")


def test_a_damaged_state_and_one_of_another_model_are_refused(
    make_trainer: MakeTrainer, tokens: TokenizedExamples, tmp_path: Path
) -> None:
    trainer = make_trainer()
    trainer.step(Batch(tokens, [1, 2]))
    trainer.save(tmp_path / "state")
    with pytest.raises(ModelError, match="nothing cannot be used, for it is not a folder"):
        trainer.resume(tmp_path / "nothing")
    with_adapter = make_trainer(TrainingConfig(precision="float32", adapter=Adapter(rank=2)))
    with pytest.raises(ModelError, match="cannot be read"):
        with_adapter.resume(tmp_path / "state")
    weights = tmp_path / "state" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors has another content than was written"):
        make_trainer().resume(tmp_path / "state")
