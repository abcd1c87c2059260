"""Generation with transformers on this machine, in batches with a cache.

The shortest prompts come first, so sequences with long answers have short prompts. All sequences then have similar
lengths, with little padding. Prompts are padded on the left. Their common prefix is encoded once. After some sequences
have finished, waiting prompts take their slots, so the last long answers do not run alone. Without waiting prompts the
slots are dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ..alignment.encoding import decode
from ..alignment.prompts import end_of_sequence, prompt, render_prompts
from ..models.attention import is_recurrent, without_planned_attention
from ..models.opening import (
    check_device,
    check_length,
    check_vocabulary,
    load_model,
    load_tokenizer,
    resolve,
)
from ..placement import Placement
from ..records import Finish, sha256
from ..resources import cores, memory
from . import attention
from .cache import give_room, has_room
from .protocol import REQUESTS_PER_CHUNK, Completion, DecodingConfig, Request, seed_of
from .rows import Rows, begin
from .threads import side_by_side

if TYPE_CHECKING:
    import torch
    from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase

Answer = tuple[int, list[int], Finish]
"""The index of a prompt, the generated ids, and why generation ended."""
Answers = Generator[Answer, None, None]
FREE_TO_REFILL = 0.1
"""The share of free slots in a batch before they are refilled or dropped, which costs some copying. With this package's
attention, and without waiting prompts, slots are dropped at once, which costs little."""
PREFIX = 8
"""The least tokens of a common prefix that is encoded once."""
ROWS = (8, 512)
"""The default batch size: at least, at most."""
BATCHES_PER_CHUNK = 4
"""The least batches in a chunk: the last answers of a chunk leave slots without work."""
CACHE_SHARE = 0.25
"""The share of device memory for the cache, for the default batch size."""
LONG_PROMPT = 256
"""Tokens of a prompt in that calculation."""
RUN = 128
"""Tokens of the vocabulary in a block of the search for the likeliest."""
LOOPS, SMALL = 2, 2**28
"""Parallel loops on a CPU, for models of fewer bytes. Larger ones are limited by reading their weights, once per loop."""


class Local:
    """A transformers model with its tokenizer on a device.

    The last bits of its logits depend on the shape of a batch. `chunk` follows from the batch size: a model with large batches
    is also fast, and loses little when interrupted.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        decoding: DecodingConfig,
        batch_size: int,
        loops: int = 1,
    ) -> None:
        self.model, self.tokenizer, self.decoding = model.eval(), tokenizer, decoding
        self.loops, self.batch_size = loops, max(1, batch_size // loops)
        self.chunk = max(REQUESTS_PER_CHUNK, BATCHES_PER_CHUNK * batch_size)
        self.ends = ends_of(getattr(model.generation_config, "eos_token_id", None), tokenizer)
        self.own_attention = attention.suits(model)

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers each request as it finishes, the shortest prompts first."""
        prompts = render_prompts([request.instruction for request in requests], self.tokenizer)
        keys = [request.key for request in requests]
        longest = max((len(ids) for ids in prompts), default=0) + self.decoding.max_new_tokens
        check_length(self.model, longest, "set generation.max_new_tokens lower")
        using = attention.used(self.model, longest) if self.own_attention else nullcontext(False)
        with using as own_attention, ExitStack() as ends_with_it:
            if is_recurrent(self.model):
                answers = self._one_by_one(prompts, keys)
            else:
                answers = self._in_batches(prompts, keys, own_attention)
            ends_with_it.callback(answers.close)
            for place, ids, finish in answers:
                yield Completion(
                    key=keys[place],
                    text=decode(ids, self.tokenizer),
                    prompt_sha256=sha256(prompt(requests[place].instruction)),
                    tokens=len(ids),
                    finish=finish,
                )

    def _in_batches(self, prompts: Sequence[list[int]], keys: Sequence[str], own_attention: bool) -> Answers:
        """For each prompt its index, generated ids, and finish reason.

        The ids exclude the end-of-sequence token. Lengths alone decide the loop of a prompt, so an answer always has the same
        batch.
        """

        def begun(places: Sequence[int]) -> Rows:
            rows = begin(
                places, [prompts[place] for place in places], self.ends[0], self.model.device, own_attention, prefix
            )
            if self.decoding.temperature > 0:
                for slot in rows.slots:
                    slot.random_state = self._generator(keys[slot.place])
            return rows

        ordered = sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), place))
        prefix = self._read(common_prefix(prompts) if len(prompts) > 1 else [])
        shares = [ordered[loop :: self.loops] for loop in range(max(1, min(self.loops, len(ordered))))]
        loops = [self._loop(share, begun) for share in shares]
        yield from filter(None, loops[0]) if len(loops) == 1 else side_by_side(loops)

    def _loop(self, places: Sequence[int], begun: Callable[[Sequence[int]], Rows]) -> Iterator[Answer | None]:
        """The answers to the prompts `places`, starting with the first.

        Yields None between two steps, where the loop can be stopped.
        """
        import torch

        waiting = deque(places)
        answering: Rows | None = None
        while waiting or answering:
            yield None
            at_once = not waiting and answering is not None and answering.own_attention
            if answering and len(answering.free) < (1 if at_once else FREE_TO_REFILL * len(answering.slots)):
                yield from self._step(answering)
            elif answering and not (waiting and answering.can_be_replaced):
                with torch.inference_mode():
                    answering.drop_free()
            else:
                if not answering:
                    answering = None  # frees its cache
                free = len(answering.free) if answering else self.batch_size
                taken = [waiting.popleft() for _ in range(min(free, len(waiting)))]
                fresh = begun(taken)
                yield from self._step(fresh)
                with torch.inference_mode():
                    if answering:
                        answering.replace(fresh)
                    else:
                        answering = fresh
                        answering.make_room(self.model)
                del fresh

    def _read(self, prefix: Sequence[int]) -> Cache | None:
        """The cache of one sequence with the common prompt prefix. None if that is short."""
        import torch

        if len(prefix) < PREFIX:
            return None
        from transformers import DynamicCache

        with torch.inference_mode():
            ids = torch.tensor([prefix], device=self.model.device)
            cache = self.model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
            give_room(cache)
        return cache if type(cache) is DynamicCache and has_room(cache) else None

    def _step(self, rows: Rows) -> list[Answer]:
        """One more token for each sequence. Returns the finished answers, now free slots."""
        import torch

        with torch.inference_mode():
            chosen = self._choose(rows.read(self.model).float(), [slot.random_state for slot in rows.slots])
            ended = self._take(rows, chosen.tolist())
            if rows:
                rows.advance(chosen)
        return ended

    def _take(self, rows: Rows, tokens: Sequence[int]) -> list[Answer]:
        """Appends each answer's next token. Returns the finished answers, now free slots."""
        ended: list[Answer] = []
        for row in rows.answering:
            slot, token = rows.slots[row], tokens[row]
            if token in self.ends:
                ended.append((slot.place, slot.answer, "stop"))
            elif len(slot.answer) + 1 == self.decoding.max_new_tokens:
                ended.append((slot.place, [*slot.answer, token], "length"))
            else:
                slot.answer.append(token)
                continue
            rows.free.append(row)
        return ended

    def _one_by_one(self, prompts: Sequence[Sequence[int]], keys: Sequence[str]) -> Answers:
        """Answers of models with a recurrent state, whose batches cannot change."""
        import torch

        sampling = self.decoding.temperature > 0
        chance = (
            {"temperature": self.decoding.temperature, "top_p": self.decoding.top_p, "top_k": 0} if sampling else {}
        )
        for place, (prompt_ids, key) in enumerate(zip(prompts, keys, strict=True)):
            ids = torch.tensor([prompt_ids], device=self.model.device)
            with torch.inference_mode(), torch.random.fork_rng():
                torch.manual_seed(self._generator(key).initial_seed())
                out = self.model.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=self.decoding.max_new_tokens,
                    do_sample=sampling,
                    eos_token_id=self.ends,
                    pad_token_id=self.ends[0],
                    **chance,
                )[0, len(prompt_ids) :].tolist()
            stopped = bool(out) and out[-1] in self.ends
            yield (place, out[:-1], "stop") if stopped else (place, out, "length")

    def _choose(self, logits: torch.Tensor, random_states: Sequence[torch.Generator | None]) -> torch.Tensor:
        """The next tokens (sequences,) for logits (sequences, vocabulary)."""
        import torch

        if self.decoding.temperature == 0:
            return likeliest(logits) if logits.device.type == "cpu" else logits.argmax(-1)
        probabilities = (logits / self.decoding.temperature).softmax(-1).cpu()
        if self.decoding.top_p < 1:
            ordered, places = probabilities.sort(-1, descending=True)
            ordered[ordered.cumsum(-1) - ordered > self.decoding.top_p] = 0.0
            probabilities = torch.zeros_like(probabilities).scatter(-1, places, ordered)
        drawn = [
            torch.multinomial(row, 1, generator=draw) for row, draw in zip(probabilities, random_states, strict=True)
        ]
        return torch.cat(drawn).to(logits.device)

    def _generator(self, key: str) -> torch.Generator:
        """The random state of one request, independent of its batch."""
        import torch

        return torch.Generator().manual_seed(seed_of(self.decoding.seed, key))


def ends_of(configured: int | list[int] | None, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer, from tokenizer and generation config."""
    ends = configured if isinstance(configured, list) else [configured]
    return sorted({end_of_sequence(tokenizer), *(int(end) for end in ends if end is not None)})


def open_local(folder: Path, decoding: DecodingConfig, placement: Placement) -> Local:
    """The model of a folder, on the device that `placement` names."""
    import torch

    device = placement.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device)
    without_planned_attention()
    folder = resolve(folder)
    check_vocabulary(folder)
    model = load_model(folder, getattr(torch, decoding.precision)).to(device)
    rows = placement.batch_size or rows_at_once(model, decoding.max_new_tokens, device_memory(device))
    return Local(model, load_tokenizer(folder), decoding, rows, loops_at_once(model))


def loops_at_once(model: PreTrainedModel) -> int:
    """The number of parallel loops, several for a small model on several cores."""
    small = sum(parameter.nbytes for parameter in model.parameters()) < SMALL
    return min(LOOPS, cores()) if small and model.device.type == "cpu" else 1


def rows_at_once(model: PreTrainedModel, new_tokens: int, memory: float) -> int:
    """The number of prompts answered at once: a power of two that fits the memory.

    It is constant on a machine, for the last bits of answers depend on it.
    """
    if is_recurrent(model):
        return 1
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    bytes_per_token = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize
    fit = int(CACHE_SHARE * memory / (bytes_per_token * (LONG_PROMPT + new_tokens)))
    return min(max(1 << fit.bit_length() - 1 if fit else 0, ROWS[0]), ROWS[1])


def device_memory(device: str) -> float:
    """The total memory of a device in bytes. For a CPU, the limit of this process."""
    import torch

    if device == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    return float(memory())


def likeliest(logits: torch.Tensor) -> torch.Tensor:
    """The first of the likeliest tokens per sequence, as `argmax` gives it.

    On a CPU `argmax` takes ten times as long as the maximum. Here only the block with the maximum is searched.

    Args:
        logits: (sequences, vocabulary).
    """
    import torch

    vocabulary = logits.shape[-1]
    run = min(RUN, vocabulary)
    whole = vocabulary - vocabulary % run
    maxima = [logits[:, :whole].reshape(len(logits), -1, run).amax(-1), logits[:, -run:].amax(-1, keepdim=True)]
    starts = torch.tensor([*range(0, whole, run), vocabulary - run])
    start = starts[torch.cat(maxima, -1).argmax(-1)]
    return start + logits.gather(-1, start[:, None] + torch.arange(run)).argmax(-1)


def common_prefix(prompts: Sequence[list[int]]) -> list[int]:
    """The common prefix of all prompts. At least one token of each is left over."""
    first, last = min(prompts), max(prompts)
    most = min(map(len, prompts)) - 1
    return first[: next((place for place in range(most) if first[place] != last[place]), most)]
