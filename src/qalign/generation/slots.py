"""Sequences that are answered at once, each in a slot of one cache, and a step for all of them.

The cache of transformers grows by concatenation: every token copies all earlier ones. Here each sequence begins at the
first column of its slot, and a step writes behind its last token. Nothing moves, so a prompt takes the slot of a finished
sequence. A step reads the columns in use, and has few shapes. On CUDA each is captured once as a graph and replayed.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

from ..terminal import log

if TYPE_CHECKING:
    import torch
    from transformers import Cache, PreTrainedModel
    from transformers.cache_utils import DynamicLayer

Random = Union["torch.Tensor", list["torch.Generator | None"]]
"""Random numbers (sequences, 1), or the random state of each sequence."""
Choose = Callable[["torch.Tensor", Random], "torch.Tensor"]
"""The next tokens (sequences,) for logits (sequences, vocabulary)."""
COLUMNS = 64
"""A captured step reads a multiple of these columns, and a power of two of slots."""


@functools.cache
def slot_layer() -> type[DynamicLayer]:
    """The class of a layer of slots, built on first use."""
    from transformers.cache_utils import DynamicLayer

    class SlotLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed
        """The keys and values of all slots in a layer, (slots, heads, columns, width)."""

        def __init__(self, slots: Slots, layer: DynamicLayer) -> None:
            super().__init__()
            self.lazy_initialization(layer.keys, layer.values)
            self.slots = slots
            self.buffers = [
                states.new_zeros(len(slots.ids), states.shape[1], slots.columns, states.shape[3])
                for states in (layer.keys, layer.values)
            ]

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
        ) -> tuple[torch.Tensor, ...]:
            """Writes a token of each slot behind its last, and returns all keys and all values."""
            count, columns = self.slots.window
            slots, lengths = self.slots.numbers[:count], self.slots.lengths[:count]
            for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
                buffer[slots, :, lengths] = states[:, :, 0]
            return tuple(buffer[:count, :, :columns] for buffer in self.buffers)

        def get_seq_length(self) -> int:
            """The columns before the token of this step, which stands for the last."""
            return self.slots.window[1] - 1

    return SlotLayer


@dataclass(slots=True)
class Slot:
    """A sequence, or what is left of one in a free slot."""

    place: int = -1
    """The index of its prompt."""
    prompt_tokens: int = 0
    answer: list[int] = field(default_factory=list)
    """The tokens generated so far."""
    random_state: torch.Generator | None = None  # for greedy decoding


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts that a model has read, padded on the left behind a shared prefix."""

    logits: torch.Tensor
    """Those of the next token, (prompts, vocabulary)."""
    cache: Cache
    prefix: int
    padding: torch.Tensor
    """The padding of each, (prompts,)."""


def read(model: PreTrainedModel, prompts: Sequence[Sequence[int]], shared: Prompts | None = None) -> Prompts:
    """Reads prompts. All begin with the one prompt in `shared`, which is not read again."""
    from torch.nn.functional import pad

    cache = copy.deepcopy(shared.cache) if shared else None
    prefix = cache.get_seq_length() if cache is not None else 0
    if cache is not None:
        cache.batch_repeat_interleave(len(prompts))
    ids, mask = padded([prompt[prefix:] for prompt in prompts])
    padding = (1 - mask).sum(1).to(model.device)
    mask = pad(mask, (prefix, 0), value=1)
    out = model(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0)[:, prefix:].to(model.device),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return Prompts(logits=out.logits[:, -1].float(), cache=out.past_key_values, prefix=prefix, padding=padding)


def padded(prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts with zeros on the left, and 1 where their tokens are, (prompts, tokens)."""
    import torch

    longest = max(map(len, prompts))
    zeros = [[0] * (longest - len(prompt)) for prompt in prompts]
    pairs = list(zip(zeros, prompts, strict=True))
    ids, mask = [[*left, *prompt] for left, prompt in pairs], [[*left, *(1 for _ in prompt)] for left, prompt in pairs]
    return torch.tensor(ids), torch.tensor(mask)


class Slots:
    """The sequences that are answered at once, each with room for so many columns.

    With `captured`, steps are CUDA graphs. With `drawn`, samples are drawn on the device.
    """

    def __init__(
        self, model: PreTrainedModel, count: int, columns: int, *, captured: bool = False, drawn: bool = False
    ) -> None:
        import torch

        self.model, self.columns, self.captured = model, columns, captured
        self.numbers = torch.arange(count, device=model.device)
        self.ids, self.lengths = (torch.zeros_like(self.numbers) for _ in range(2))
        """For each slot, the token of the next step, and the tokens before it."""
        self.draws = torch.zeros(count, columns, device=model.device) if drawn else None
        """Random numbers for each token."""
        self.window = count, columns
        """The slots and columns of the current step."""
        self._columns = torch.arange(columns, device=model.device)
        self._cache: Cache | None = None
        self._graphs: dict[tuple[int, int], Callable[[], None]] = {}
        self.clear()

    def clear(self) -> None:
        """Makes all slots free, those that were dropped too."""
        self.slots = [Slot() for _ in range(len(self.ids))]
        self.free = list(range(len(self.ids)))
        """Slots whose sequence has finished. They are computed, and ignored, until refilled or dropped."""
        self.lengths.zero_()

    def __len__(self) -> int:
        """The number of unfinished sequences."""
        return len(self.slots) - len(self.free)

    @property
    def answering(self) -> list[int]:
        """The slots of unfinished sequences."""
        free = set(self.free)
        return [slot for slot in range(len(self.slots)) if slot not in free]

    def random(self, numbers: slice | list[int]) -> Random:
        """The random numbers or states of some slots for their next token."""
        if self.draws is not None:
            return self.draws[numbers].gather(1, self.lengths[numbers, None])
        slots = self.slots[numbers] if isinstance(numbers, slice) else [self.slots[number] for number in numbers]
        return [slot.random_state for slot in slots]

    def put(self, slots: Sequence[Slot], prompts: Prompts, rows: Sequence[int]) -> list[int]:
        """Puts sequences into free slots, whose numbers it returns. `rows` are the rows of their prompts."""
        import torch

        taken, self.free = self.free[: len(slots)], self.free[len(slots) :]
        for number, slot in zip(taken, slots, strict=True):
            self.slots[number] = slot
        into, row = (torch.tensor(values, device=self.ids.device) for values in (taken, list(rows)))
        self.lengths[into] = torch.tensor([slot.prompt_tokens for slot in slots], device=self.ids.device)
        if self.draws is not None:
            draws = [torch.rand(self.columns, generator=slot.random_state) for slot in slots]
            self.draws[into] = torch.stack(draws).to(self.ids.device)
        if self._cache is None:
            self._cache = copy.copy(prompts.cache)
            self._cache.layers = [slot_layer()(self, layer) for layer in prompts.cache.layers]
        width = prompts.cache.layers[0].keys.shape[-2]
        place = self._columns[:width]
        place = (place + (place >= prompts.prefix) * prompts.padding[row, None]).clamp(max=width - 1)
        for mine, theirs in zip(self._cache.layers, prompts.cache.layers, strict=True):
            for buffer, states in zip(mine.buffers, (theirs.keys, theirs.values), strict=True):
                buffer[into, :, :width] = states[row[:, None], :, place].transpose(1, 2)
        return taken

    def finish(self, slots: Sequence[int]) -> None:
        """Makes slots free."""
        self.free += slots
        self.lengths[list(slots)] = 0

    def drop_free(self) -> None:
        """Drops free slots: the last sequences move into those before them."""
        import torch

        kept = len(self)
        if self._rounded(kept) == self._rounded(len(self.slots)):
            return
        last = [slot for slot in self.answering if slot >= kept]
        into = [slot for slot in self.free if slot < kept]
        for number, slot in zip(into, last, strict=True):
            self.slots[number] = self.slots[slot]
        self.slots, self.free = self.slots[:kept], []
        if last and self._cache is not None:
            new, old = (torch.tensor(slots, device=self.ids.device) for slots in (into, last))
            states = [buffer for layer in self._cache.layers for buffer in layer.buffers]
            for buffer in (self.ids, self.lengths, *states, *([] if self.draws is None else [self.draws])):
                buffer[new] = buffer[old]
        self.lengths[kept:] = 0

    def shape(self) -> tuple[int, int]:
        """The slots and columns of the next step: those in use, of a captured step rounded up."""
        columns = max(self.slots[slot].prompt_tokens + len(self.slots[slot].answer) for slot in self.answering)
        if self.captured:
            columns = min(-(-columns // COLUMNS) * COLUMNS, self.columns)
        return self._rounded(len(self.slots)), columns

    def _rounded(self, count: int) -> int:
        return min(1 << (count - 1).bit_length(), len(self.ids)) if self.captured and count else count

    def step(self, choose: Choose) -> torch.Tensor:
        """The next token of each slot, (slots,)."""
        shape = self.shape()
        if shape in self._graphs:
            self._graphs[shape]()
        elif self.captured:
            self._capture(shape, choose)
        else:
            self.advance(shape, choose)
        return self.ids[: len(self.slots)]

    def advance(self, shape: tuple[int, int], choose: Choose) -> torch.Tensor:
        """Takes a step in place: tensors of a fixed address change, nothing waits for the device. Returns the logits."""
        self.window = count, columns = shape
        lengths = self.lengths[:count]
        mask = self._columns[:columns] <= lengths[:, None]
        with_mask = self.model.config.get_text_config()._attn_implementation == "sdpa"
        out = self.model(
            input_ids=self.ids[:count, None],
            attention_mask=mask[:, None, None] if with_mask else mask.long(),
            position_ids=lengths[:, None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = out.logits[:, -1].float()
        lengths.add_(1).clamp_(max=self.columns - 1)  # those of free slots go on
        self.ids[:count] = choose(logits, self.random(slice(count)))
        return logits

    def _capture(self, shape: tuple[int, int], choose: Choose) -> None:
        """Takes a step, and captures it as a graph if a replay has the same logits. Otherwise captures no more."""
        state = (self.ids, self.lengths)
        before = [values.clone() for values in state]
        logits = self.advance(shape, choose)
        after = [values.clone() for values in state]

        def put_back(kept: Sequence[torch.Tensor]) -> None:
            for values, earlier in zip(state, kept, strict=True):
                values.copy_(earlier)

        put_back(before)
        try:
            replay, again = graph_of(functools.partial(self.advance, shape, choose))
            replay()
            fault = "" if alike(again, logits, self.model.dtype) else "a replay gives other logits"
        except RuntimeError as error:
            fault = str(error).splitlines()[0]
        put_back(after)
        if not fault:
            self._graphs[shape] = replay
            return
        self.captured = False
        log(f"generation steps are not captured as CUDA graphs, and are slower: {fault}")


def graph_of(step: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
    """Captures a step as a CUDA graph. Returns its replay, and the tensor that a replay fills."""
    import torch

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=_pool()):
        result = step()
    return graph.replay, result


@functools.cache
def _pool() -> Any:
    """The memory of all graphs. They run one at a time, and leave nothing in it for another."""
    import torch

    return torch.cuda.graph_pool_handle()


def alike(one: torch.Tensor, other: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether the logits of a model of this type are the same but for rounding."""
    import torch

    atol = math.sqrt(torch.finfo(dtype).eps) * float(other.abs().max())
    return bool(torch.allclose(one, other, rtol=0.0, atol=atol))


def room(model: PreTrainedModel) -> float:
    """The tokens that a sequence may have in a slot: any number, a window's, or 0 where a trial has other logits."""
    import torch
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    if getattr(model, "_is_stateful", False):
        return 0
    drawn = torch.Generator().manual_seed(0)
    ids = torch.randint(model.config.get_text_config().vocab_size, (9,), generator=drawn).tolist()
    prompts = [ids[:8], [*ids[:3], *ids[5:8]]]
    slots = Slots(model, 2, 16)
    try:
        with torch.inference_mode():
            found = read(model, prompts, read(model, [ids[:3]]))
            layers = found.cache.layers
            whole = {DynamicLayer, DynamicSlidingWindowLayer}.issuperset(map(type, layers))
            slots.put([Slot(prompt_tokens=len(prompt)) for prompt in prompts], found, [0, 1])
            slots.ids.fill_(ids[8])
            steps = [found.logits, slots.advance((2, 9), lambda logits, _: logits.argmax(-1))]
            for extra, logits in zip(([], [ids[8]]), steps, strict=True):
                for prompt, row in zip(prompts, logits, strict=True):
                    plain = model(input_ids=torch.tensor([[*prompt, *extra]], device=model.device), use_cache=False)
                    whole = whole and alike(row, plain.logits[0, -1].float(), model.dtype)
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError):  # a cache of another kind
        return 0
    return min(getattr(layer, "sliding_window", math.inf) for layer in layers) if whole else 0
