"""The memory that training takes on a device, and the tokens at once that fit.

Saved activations grow with the tokens of a micro-batch. A LLaMA saves for each token and block:

- in its hidden width: the block's two inputs, their normalised forms, queries, keys, values and the attention's output;
- in its inner width: the gate, its activation, the other factor and their product.

Other architectures differ by a part of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ..errors import ModelError
from ..placement import Placement
from .accelerator import is_sharded
from .config import TrainingConfig
from .tokens import TokenizedExamples

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from transformers import PreTrainedModel

SHARE = 0.93
"""The share of a device's memory that is planned with. Libraries and fragmentation take the rest."""
FEWEST, MOST, STEP = 512, 16384, 256
"""Tokens at once, on an accelerator. Below the fewest, activations are recomputed. Above the most nothing is gained."""
ON_CPU = 2048
"""Tokens at once on a CPU: enough for matrix products to run at full rate, few enough for caches."""
SUPERVISED = 0.5
"""The share of supervised tokens where it is not known yet."""

BYTES_PER_TRAINED, BYTES_PER_FROZEN, BYTES_PER_COPY = {"adamw": 16.0, "adamw8bit": 10.0}, 4, 2
"""Bytes of a weight. Trained ones are float32 with their gradient and optimizer states, by optimizer. A copy is for bfloat16
arithmetic."""
KEPT = {
    ("float32", False): (44, 16),
    ("float32", True): (32, 12),
    ("bfloat16", False): (30, 8),
    ("bfloat16", True): (20, 6),
}
"""Bytes per token and block for each dimension of the hidden and of the inner width, by precision and by whether blocks are
compiled. A compiled block recomputes some of it: normalised forms in lower precision, and the activation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The part of an architecture that decides on memory: widths of the residual stream and within feed-forward layers."""

    hidden: int
    inner: int
    blocks: int
    vocabulary: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The part of a training stage that decides on memory, apart from the architecture."""

    parameters: int
    trained: int
    """The trained weights among all parameters."""
    precision: Literal["bfloat16", "float32"]
    optimizer: str = "adamw"
    supervised: float = SUPERVISED
    repeated: float = 0.0
    """The tokens of a shared prefix that attention reads again, for each token at once."""
    held: float = 0.0
    """The bytes of a device that something else holds."""
    shards: int = 1
    """FSDP shards: the devices that hold a part of the model each."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The bytes of a training stage on one device."""

    fixed: float
    per_token: float
    """What each token of a micro-batch adds."""

    def at(self, tokens: int) -> float:
        """The peak in bytes, by the tokens at once."""
        return self.fixed + tokens * self.per_token


def shape_of(config: Mapping[str, Any]) -> Shape | None:
    """The shape in a transformers config, as in `config.json`. None where it names no widths."""
    text = config.get("text_config") or config

    def first(*names: str) -> int | None:
        return next((value for name in names if isinstance(value := text.get(name), int)), None)

    hidden, blocks = first("hidden_size", "n_embd", "d_model"), first("num_hidden_layers", "n_layer")
    vocabulary = first("vocab_size")
    if not hidden or not blocks or not vocabulary:
        return None
    inner = first("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size") or 4 * hidden
    return Shape(hidden=hidden, inner=inner, blocks=blocks, vocabulary=vocabulary)


def predict(shape: Shape, work: Workload, *, compiled: bool, checkpointing: bool) -> Memory:
    """The memory of a training stage on one device. With `checkpointing` the backward pass recomputes activations."""
    bfloat16 = work.precision == "bfloat16"
    copies = float(BYTES_PER_COPY * (work.parameters - shape.vocabulary * shape.hidden) if bfloat16 else 0)
    frozen = work.parameters - work.trained
    fixed = (BYTES_PER_TRAINED[work.optimizer] * work.trained + BYTES_PER_FROZEN * frozen) / work.shards
    number = 2 if bfloat16 else 4
    width, inner = KEPT[work.precision, compiled]
    attention = 4 * number * work.repeated  # queries, keys, values and outputs
    block = (width + attention) * shape.hidden + inner * shape.inner
    logits = work.supervised * shape.vocabulary * 2 * number  # and their gradient
    if work.shards > 1:  # two blocks have whole weights, one at work and the next, and one has a whole gradient
        copies = 3 * number * work.parameters / shape.blocks
    elif checkpointing:  # of one block at a time
        copies /= shape.blocks
    # With recomputation, each block saves its input alone.
    saved = 4 * shape.hidden * shape.blocks + block if checkpointing else block * shape.blocks
    return Memory(fixed + copies + work.held, saved + logits)


def adapter_parameters(shape: Shape, rank: int) -> int:
    """The weights of an adapter on the seven projections of each block, with keys and values as wide as queries."""
    return shape.blocks * rank * (4 * 2 * shape.hidden + 3 * (shape.hidden + shape.inner))


def tokens_that_fit(memory: Memory, available: float) -> int:
    """The most tokens at once in `available` bytes: a multiple of `STEP` up to `MOST`, or 0."""
    return max(0, min(MOST, int((SHARE * available - memory.fixed) / memory.per_token) // STEP * STEP))


def choose(whole: Memory, checkpointed: Memory, available: float, checkpointing: bool | None) -> tuple[int, bool]:
    """Tokens at once, and whether activations are recomputed: where too few would fit otherwise, or it is asked for.

    Raises ModelError if the model fits neither way into the `available` bytes.
    """
    if not checkpointing:
        tokens = tokens_that_fit(whole, available)
        if tokens >= FEWEST or (tokens and checkpointing is False):
            return tokens, False
    least = whole if checkpointing is False else checkpointed
    tokens = 0 if checkpointing is False else tokens_that_fit(checkpointed, available)
    if not tokens:
        needed, planned, free = (size / 2**30 for size in (least.at(STEP), SHARE * available, available))
        raise ModelError(
            f"training needs {needed:.1f} GiB of the device's memory and can have {planned:.1f} of its {free:.1f}; train an "
            "adapter (--set training.adapter=on), or take more or larger devices"
        )
    return tokens, True


def fitting(shape: Shape, work: Workload, placement: Placement, available: float) -> tuple[int, bool, Memory]:
    """Tokens at once and whether activations are recomputed, where the placement leaves them open, and the memory.

    Raises ModelError if the model does not fit.
    """
    whole, checkpointed = (
        predict(shape, work, compiled=bool(placement.compile), checkpointing=recomputed) for recomputed in (False, True)
    )
    tokens, recomputed = placement.tokens_per_micro_batch, placement.activation_checkpointing
    if tokens is None:
        tokens, recomputed = choose(whole, checkpointed, available, recomputed)
    elif recomputed is None:
        recomputed = whole.at(tokens) > SHARE * available
    return tokens, recomputed, checkpointed if recomputed else whole


@contextmanager
def out_of_memory_in_one_line(advice: str) -> Iterator[None]:
    """Turns a lack of memory into a ModelError with the advice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if not kinds & {"MemoryError", "OutOfMemoryError"} and "can't allocate memory" not in str(error):
            raise
        what = f"memory ran out; stop other programs on the device, or give {advice}"
        raise ModelError(f"{what}, then run the same command again: it goes on from here") from error


def workload(
    model: torch.nn.Module, config: TrainingConfig, examples: TokenizedExamples | None = None, shards: int = 1
) -> Workload:
    """The workload of a model in training, on the examples of all steps where they are known."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    supervised, repeated = (SUPERVISED, 0.0) if examples is None else examples.shares
    return Workload(
        parameters=sum(size for size, _ in sizes),
        trained=sum(size for size, trained in sizes if trained),
        precision=config.precision,
        optimizer=config.optimizer,
        supervised=supervised,
        repeated=repeated,
        shards=shards,
    )


def settle(
    placement: Placement,
    accelerator: Accelerator,
    model: PreTrainedModel,
    config: TrainingConfig,
    examples: TokenizedExamples | None = None,
) -> Placement:
    """A placement with all decided that it leaves open, the same on all ranks. ModelError if the model does not fit."""
    cuda = accelerator.device.type == "cuda"
    shards = accelerator.num_processes if is_sharded(accelerator) else 1
    if placement.compile is None:
        placement = replace(placement, compile=cuda and shards == 1)
    tokens, recomputed = placement.tokens_per_micro_batch, placement.activation_checkpointing
    shape = shape_of(model.config.to_dict())
    if cuda and shape and (tokens is None or recomputed is None):
        work = workload(model, config, examples, shards)
        tokens, recomputed, _ = fitting(shape, work, placement, _available(accelerator))
    tokens = tokens or (FEWEST if cuda else ON_CPU)
    return replace(placement, tokens_per_micro_batch=tokens, activation_checkpointing=bool(recomputed))


def _available(accelerator: Accelerator) -> float:
    """The bytes that a training stage can have on the device of the first rank."""
    import torch
    from accelerate.utils import broadcast_object_list

    free = torch.cuda.mem_get_info(accelerator.device)[0] + torch.cuda.memory_reserved(accelerator.device)
    return float(free if accelerator.num_processes == 1 else broadcast_object_list([free])[0])
