"""How much memory a training stage takes on a device, and how many tokens at once fit.

Weights, gradients and AdamW's two moments are float32 (the moments, if asked for, of 8 bits); with bfloat16 arithmetic a
copy of the weights comes on top. What is kept for the backward pass grows with the tokens of a micro-batch. Per token and
block a LLaMA keeps, in numbers of its hidden width h and of its inner width i: the block's two inputs and their normalised
forms, queries, keys, values and the attention's output; and around the activation function the gate, its value, the other
factor and the product. Other architectures differ by a part of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..errors import ModelError
from ..placement import Placement
from .accelerator import is_sharded
from .config import TrainingConfig

SHARE = 0.93
"""Of a device's memory that is planned with; the rest is for libraries and for what lies scattered."""
FEWEST, MOST, STEP = 512, 16384, 256
"""Tokens at once, on an accelerator: below the fewest, activations are computed again; above the most nothing is gained."""
ON_CPU = 2048
"""Tokens at once elsewhere: enough for matrix products to run at full rate, few enough for caches."""
SUPERVISED = 0.5
"""The share of supervised tokens where it is not known yet."""

BYTES_PER_TRAINED = {"adamw": 16.0, "adamw8bit": 10.0}
BYTES_PER_FROZEN = 4
BYTES_PER_COPY = 2
"""Of a weight: float32 with its gradient and two moments, by optimizer; float32 alone; its copy for bfloat16 arithmetic."""

KEPT = {
    ("float32", False): (44, 16),
    ("float32", True): (32, 12),
    ("bfloat16", False): (30, 8),
    ("bfloat16", True): (20, 6),
}
"""Bytes per token and block for each number of the hidden and of the inner width, by precision and by whether blocks are
compiled: then what is quickly made again (normalised forms cast down, the activation's value) is not kept."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of an architecture decides on memory: widths, blocks, vocabulary."""

    hidden: int
    inner: int
    blocks: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one device: `fixed` whatever the micro-batch, and what each of its tokens adds."""

    fixed: float
    per_token: float

    def at(self, tokens: int) -> float:
        """The peak, in bytes, with so many tokens at once."""
        return self.fixed + tokens * self.per_token


def shape_of(config: Mapping[str, Any]) -> Shape | None:
    """The shape in a transformers config (as in `config.json`); None where it names no widths."""
    text = config.get("text_config") or config
    hidden, blocks = (
        _first(text, names) for names in (("hidden_size", "n_embd", "d_model"), ("num_hidden_layers", "n_layer"))
    )
    vocabulary = _first(text, ("vocab_size",))
    if not hidden or not blocks or not vocabulary:
        return None
    inner = _first(text, ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size")) or 4 * hidden
    return Shape(hidden, inner, blocks, vocabulary)


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((int(config[name]) for name in names if isinstance(config.get(name), int)), None)


def predict(
    shape: Shape,
    parameters: int,
    trained: int,
    precision: Literal["bfloat16", "float32"],
    *,
    compiled: bool,
    checkpointing: bool,
    supervised: float = SUPERVISED,
    repeated: float = 0.0,
    optimizer: str = "adamw",
    shards: int = 1,
) -> Memory:
    """The memory of a training stage on one device: `parameters` in all, `trained` of them, over so many shards.

    `supervised` is the share of such tokens; `repeated` is how many tokens of a shared prefix attention reads with the rows,
    for each token at once.
    """
    copies = float(BYTES_PER_COPY * (parameters - shape.vocabulary * shape.hidden) if precision == "bfloat16" else 0)
    fixed = (BYTES_PER_TRAINED[optimizer] * trained + BYTES_PER_FROZEN * (parameters - trained)) / shards
    number = 2 if precision == "bfloat16" else 4
    width, inner = KEPT[precision, compiled]
    attention = 4 * number * repeated  # queries, keys, values, and what comes of them
    block = (width + attention) * shape.hidden + inner * shape.inner
    logits = supervised * shape.vocabulary * 2 * number  # and their gradient
    if shards > 1:  # whole are the weights of two blocks, one at work and the next, and a gradient
        copies = 3 * number * parameters / shape.blocks
    elif checkpointing:  # of one block at a time
        copies /= shape.blocks
    kept = (
        4 * shape.hidden * shape.blocks + block if checkpointing else block * shape.blocks
    )  # or each block's input alone
    return Memory(fixed + copies, kept + logits)


def adapter_parameters(shape: Shape, rank: int) -> int:
    """Weights of a low-rank adapter on the seven projections of each block, keys and values as wide as queries."""
    return shape.blocks * rank * (4 * 2 * shape.hidden + 3 * (shape.hidden + shape.inner))


def tokens_that_fit(memory: Memory, available: float) -> int:
    """The most tokens at once in `available` bytes, a multiple of `STEP` up to `MOST`; below `STEP` it is 0."""
    return max(0, min(MOST, int((SHARE * available - memory.fixed) / memory.per_token) // STEP * STEP))


def choose(whole: Memory, checkpointed: Memory, available: float, checkpointing: bool | None) -> tuple[int, bool]:
    """Tokens at once, and whether activations are computed again: only where too few would fit, or where it is asked for.

    Raises:
        ModelError: the model does not fit either way.
    """
    if not checkpointing:
        tokens = tokens_that_fit(whole, available)
        if tokens >= FEWEST or (tokens and checkpointing is False):
            return tokens, False
    tokens = 0 if checkpointing is False else tokens_that_fit(checkpointed, available)
    if not tokens:
        least = whole if checkpointing is False else checkpointed
        raise ModelError(
            f"training needs {least.at(STEP) / 2**30:.1f} GiB of the device's memory and can have "
            f"{SHARE * available / 2**30:.1f} of its {available / 2**30:.1f}; train an adapter "
            "(--set training.adapter=on), or take more or larger devices"
        )
    return tokens, True


@contextmanager
def out_of_memory_in_one_line(advice: str) -> Iterator[None]:
    """Turns a lack of memory, which torch reports in several ways, into one line that ends in the advice.

    Raises:
        ModelError: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if not kinds & {"MemoryError", "OutOfMemoryError"} and "can't allocate memory" not in str(error):
            raise
        raise ModelError(
            f"memory ran out; stop other programs on the device, or give {advice}, then run the same command again: it "
            "goes on from here"
        ) from error


def settle(
    placement: Placement, accelerator: Any, model: Any, config: TrainingConfig, supervised: float, repeated: float = 0.0
) -> Placement:
    """What a placement leaves open, decided for a model that is not on its device yet; the same on all ranks. `supervised`
    and `repeated` are as in `predict`.

    Raises:
        ModelError: the model does not fit on the device.
    """
    cuda = accelerator.device.type == "cuda"
    shards = accelerator.num_processes if is_sharded(accelerator) else 1
    compiled = cuda and shards == 1 if placement.compile is None else placement.compile
    tokens, checkpointing = placement.tokens_per_micro_batch, placement.activation_checkpointing
    shape = shape_of(model.config.to_dict())
    if cuda and shape and (tokens is None or checkpointing is None):
        parameters = sum(parameter.numel() for parameter in model.parameters())
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        whole, checkpointed = (
            predict(
                shape, parameters, trained, config.precision,
                compiled=compiled, checkpointing=again, supervised=supervised, repeated=repeated,
                optimizer=config.optimizer, shards=shards,
            )
            for again in (False, True)
        )  # fmt: skip
        available = _available(accelerator)
        if tokens is None:
            tokens, checkpointing = choose(whole, checkpointed, available, checkpointing)
        else:
            checkpointing = whole.at(tokens) > SHARE * available
    return replace(
        placement,
        tokens_per_micro_batch=tokens or (FEWEST if cuda else ON_CPU),
        activation_checkpointing=bool(checkpointing),
        compile=compiled,
    )


def _available(accelerator: Any) -> float:
    """Bytes that a training stage can have on the device of the first rank."""
    import torch
    from accelerate.utils import broadcast_object_list

    free = torch.cuda.mem_get_info(accelerator.device)[0] + torch.cuda.memory_reserved(accelerator.device)
    return float(free if accelerator.num_processes == 1 else broadcast_object_list([free])[0])
