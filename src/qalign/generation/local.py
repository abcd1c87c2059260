"""Generation with transformers on this machine, in batches with a cache.

The shortest prompts come first, so sequences with long answers have short prompts. All sequences then have similar
lengths, with little padding. After some sequences have finished, waiting prompts take their slots, so the last long
answers do not run alone. Without waiting prompts the slots are dropped.

A small model's step on a CPU is many short operations. Between them the cores wait for Python and for each other. Two
loops in threads with half the cores each keep them busy: torch lets other threads run while it computes.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING

from ..alignment.encoding import decode
from ..alignment.prompts import encode_prompts, end_of_sequence
from ..models import opening
from ..placement import Placement
from ..records import Finish
from ..resources import cores, memory
from .protocol import REQUESTS_PER_CHUNK, Completion, DecodingConfig, Request, seed_of
from .slots import Prompts, Random, Slot, Slots, padded, read, room

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Answer = tuple[int, list[int], Finish]
"""The index of a prompt, the generated ids without the end-of-sequence token, and why generation ended."""
Answers = Generator[Answer, None, None]
FREE_TO_REFILL = 0.1
"""The share of free slots in a batch before they are refilled or dropped, which costs some copying."""
ROWS = (8, 512)
"""The default batch size: at least, at most."""
BATCHES_PER_CHUNK = 4
"""The least batches in a chunk: the last answers of a chunk leave slots without work."""
CACHE_SHARE, LONG_PROMPT = 0.25, 256
"""The share of device memory for the cache, and the tokens of a prompt, for the default batch size."""
READ_AT_ONCE = 32
"""Prompts that are read in one batch. They come by length, so few have little padding."""
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
        captured: bool = False,
    ) -> None:
        self.model, self.tokenizer, self.decoding, self.captured = model.eval(), tokenizer, decoding, captured
        self.loops, self.batch_size = loops, max(1, batch_size // loops)
        self.chunk = max(REQUESTS_PER_CHUNK, BATCHES_PER_CHUNK * batch_size)
        self.ends = ends_of(getattr(model.generation_config, "eos_token_id", None), tokenizer)
        self.drawn = decoding.temperature > 0 and model.device.type == "cuda"
        """Whether samples are drawn where the logits are. On a CPU their random states draw one by one."""
        self._room = room(model)
        self._slots: Slots | None = None
        """The slots of captured steps, for the next chunk."""

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers each request as it finishes, the shortest prompts first."""
        prompts = encode_prompts([request.prompt for request in requests], self.tokenizer)
        with closing(self.answers(prompts, [request.key for request in requests])) as answers:
            for place, ids, finish in answers:
                text, finish = self.decoding.ended(decode(ids, self.tokenizer), finish)
                yield requests[place].answered(text, len(ids), finish)

    def answers(self, prompts: Sequence[list[int]], keys: Sequence[str], stage: str = "generation") -> Answers:
        """Answers prompts of token ids as they finish, each under the seed of its key. Errors name the settings of `stage`."""
        longest = max((len(ids) for ids in prompts), default=0) + self.decoding.max_new_tokens
        opening.check_length(self.model, longest, f"set {stage}.max_new_tokens lower")
        return self._in_slots(prompts, keys, longest) if longest < self._room else self._in_batches(prompts, keys)

    def _in_slots(self, prompts: Sequence[list[int]], keys: Sequence[str], longest: int) -> Answers:
        """Lengths alone decide the loop of a prompt, so an answer always has the same batch."""
        import torch

        ordered = _shortest_first(prompts)
        shares = [ordered[loop :: self.loops] for loop in range(max(1, min(self.loops, len(ordered))))]
        common = in_common(prompts)
        with torch.inference_mode():
            shared = read(self.model, [prompts[0][:common]]) if common else None
        begin = partial(self._begin, prompts, keys, shared)
        loops = [self._loop(share, longest, begin) for share in shares]
        yield from filter(None, loops[0]) if len(loops) == 1 else _side_by_side(loops)

    def _loop(
        self, places: Sequence[int], longest: int, begin: Callable[[Slots, list[int]], list[Answer]]
    ) -> Iterator[Answer | None]:
        """The answers to the prompts `places`, the first first, and None between two steps, where the loop can be stopped."""
        import torch

        waiting = deque(places)
        with torch.inference_mode():
            slots = self._empty(len(places), longest)
        while waiting or slots:
            yield None
            enough = not slots or len(slots.free) >= FREE_TO_REFILL * len(slots.slots)
            with torch.inference_mode():
                if enough and waiting:
                    taken = [waiting.popleft() for _ in range(min(len(slots.free), len(waiting)))]
                    groups = (taken[start : start + READ_AT_ONCE] for start in range(0, len(taken), READ_AT_ONCE))
                    ended = [answer for group in groups for answer in begin(slots, group)]
                else:
                    if enough:
                        slots.drop_free()
                    tokens, numbers = slots.step(self._choose).tolist(), slots.answering
                    ended = self._ended(slots, numbers, [tokens[number] for number in numbers])
            yield from ended

    def _empty(self, prompts: int, longest: int) -> Slots:
        """Slots for so many prompts and tokens: with captured steps those of an earlier chunk, where they have room."""
        if not self.captured:
            return Slots(self.model, min(self.batch_size, prompts), longest, drawn=self.drawn)
        if self._slots is None or self._slots.columns < longest:
            self._slots = None  # frees its cache
            self._slots = Slots(self.model, self.batch_size, longest, captured=True, drawn=self.drawn)
        self._slots.clear()
        return self._slots

    def _begin(
        self, prompts: Sequence[list[int]], keys: Sequence[str], shared: Prompts | None, slots: Slots, places: list[int]
    ) -> list[Answer]:
        """Reads prompts, equal ones next to each other once, and puts their sequences into free slots."""
        distinct: list[list[int]] = []
        rows = []
        for place in places:
            if not distinct or prompts[place] != distinct[-1]:
                distinct.append(prompts[place])
            rows.append(len(distinct) - 1)
        found = read(self.model, distinct, shared)
        fresh = [Slot(place=place, prompt_tokens=len(prompts[place])) for place in places]
        if self.decoding.temperature > 0:
            for slot in fresh:
                slot.random_state = self._generator(keys[slot.place])
        numbers = slots.put(fresh, found, rows)
        chosen = self._choose(found.logits[rows], slots.random(numbers))
        slots.ids[numbers] = chosen
        return self._ended(slots, numbers, chosen.tolist())

    def _ended(self, slots: Slots, numbers: Sequence[int], tokens: Sequence[int]) -> list[Answer]:
        """Appends the next tokens of some slots. Returns the finished answers, whose slots are free then."""
        taken = {number: self._take(slots.slots[number], token) for number, token in zip(numbers, tokens, strict=True)}
        ended = {number: answer for number, answer in taken.items() if answer}
        slots.finish(list(ended))
        return list(ended.values())

    def _take(self, slot: Slot, token: int) -> Answer | None:
        """Appends the next token of an answer. Returns the answer where it has ended."""
        if token in self.ends:
            return slot.place, slot.answer, "stop"
        slot.answer.append(token)
        if len(slot.answer) == self.decoding.max_new_tokens:
            return slot.place, slot.answer, "length"
        return (slot.place, slot.answer, "stop") if self._stops(slot.answer) else None

    def _stops(self, answer: Sequence[int]) -> bool:
        """Whether the end of an answer holds a stop text. A token has at least a byte."""
        stop = self.decoding.stop
        if stop is None:
            return False
        end = decode(answer[-max((len(text.encode()) for text in stop), default=0) - 1 :], self.tokenizer)
        return any(text in end for text in stop)

    def _in_batches(self, prompts: Sequence[list[int]], keys: Sequence[str]) -> Answers:
        """Answers by `generate` of transformers, for models whose cache has no slots: a state, or a short window."""
        import torch

        size = 1 if getattr(self.model, "_is_stateful", False) else self.batch_size
        ordered = _shortest_first(prompts)
        for start in range(0, len(ordered), size):
            places = ordered[start : start + size]
            states: Random = [self._generator(keys[place]) for place in places]
            ids, mask = padded([prompts[place] for place in places])
            width = ids.shape[1]

            def choose(ids: torch.Tensor, scores: torch.Tensor, states: Random = states) -> torch.Tensor:
                chosen = self._choose(scores.float(), states)  # the one token with a score, for greedy decoding
                return torch.full_like(scores, -torch.inf).scatter(1, chosen[:, None], 0.0)

            def stops(ids: torch.Tensor, scores: object, width: int = width) -> torch.Tensor:
                return torch.tensor([self._stops(row) for row in ids[:, width:].tolist()], device=ids.device)

            with torch.inference_mode():
                out = self.model.generate(
                    input_ids=ids.to(self.model.device),
                    attention_mask=mask.to(self.model.device),
                    max_new_tokens=self.decoding.max_new_tokens,
                    do_sample=False,
                    eos_token_id=self.ends,
                    pad_token_id=self.ends[0],
                    logits_processor=[choose],
                    stopping_criteria=[stops] if self.decoding.stop else [],
                )
            for place, row in zip(places, out[:, width:].tolist(), strict=True):
                end = next((number for number, token in enumerate(row) if token in self.ends), None)
                yield (place, row, "length") if end is None else (place, row[:end], "stop")

    def _choose(self, logits: torch.Tensor, random: Random) -> torch.Tensor:
        """The next tokens (sequences,) for logits (sequences, vocabulary)."""
        import torch

        if self.decoding.temperature == 0:
            return logits.argmax(-1)
        probabilities = (logits / self.decoding.temperature).softmax(-1)
        if isinstance(random, list):
            probabilities = probabilities.cpu()
        if self.decoding.top_p < 1:
            ordered, places = probabilities.sort(-1, descending=True)
            ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered > self.decoding.top_p, 0.0)
            probabilities = torch.zeros_like(probabilities).scatter(-1, places, ordered)
        if isinstance(random, list):
            pairs = zip(probabilities, random, strict=True)
            chosen = [torch.multinomial(row, 1, generator=state) for row, state in pairs]
            return torch.cat(chosen).to(logits.device)
        until = probabilities.cumsum(-1)
        return torch.searchsorted(until, random * until[:, -1:], right=True)[:, 0].clamp(max=logits.shape[1] - 1)

    def _generator(self, key: str) -> torch.Generator:
        """The random state of one request, independent of its batch."""
        import torch

        return torch.Generator().manual_seed(seed_of(self.decoding.seed, key))


def _shortest_first(prompts: Sequence[list[int]]) -> list[int]:
    return sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), place))


def in_common(prompts: Sequence[list[int]]) -> int:
    """The tokens that all prompts begin with, less one, so that each has another. The first and last in order show it."""
    pairs = zip(min(prompts, default=[]), max(prompts, default=[]), strict=False)
    return max(0, sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)) - 1)


def _side_by_side(loops: Sequence[Iterator[Answer | None]]) -> Iterator[Answer]:
    """The answers of all loops as they arrive, each loop in a thread with its share of torch's threads."""
    import torch

    threads = torch.get_num_threads()
    made: SimpleQueue[Answer | BaseException | None] = SimpleQueue()
    stop = Event()

    def work(loop: Iterator[Answer | None]) -> None:
        torch.set_num_threads(max(1, threads // len(loops)))
        try:
            for answer in loop:
                if stop.is_set():
                    return
                if answer is not None:
                    made.put(answer)
            made.put(None)
        except BaseException as error:  # raised again in the consumer
            made.put(error)

    try:
        with ThreadPoolExecutor(len(loops)) as pool:
            try:
                running = len([pool.submit(work, loop) for loop in loops])
                while running:
                    item = made.get()
                    if isinstance(item, BaseException):
                        raise item
                    if item is None:
                        running -= 1
                    else:
                        yield item
            finally:
                stop.set()
    finally:
        torch.set_num_threads(threads)


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
    opening.check_device(device)
    opening.without_planned_attention()
    folder = opening.resolve(folder)
    opening.check_vocabulary(folder)
    model = opening.load_model(folder, getattr(torch, decoding.precision)).to(device)
    rows = placement.batch_size or rows_at_once(model, decoding.max_new_tokens, device_memory(device))
    tokenizer = opening.load_tokenizer(folder)
    return Local(model, tokenizer, decoding, rows, loops_at_once(model), captures(model, placement))


def captures(model: PreTrainedModel, placement: Placement) -> bool:
    """Whether steps are captured as CUDA graphs."""
    return model.device.type == "cuda" and placement.compile is not False


def loops_at_once(model: PreTrainedModel) -> int:
    """The number of parallel loops, several for a small model on several cores."""
    small = sum(parameter.nbytes for parameter in model.parameters()) < SMALL
    return min(LOOPS, cores()) if small and model.device.type == "cpu" else 1


def rows_at_once(model: PreTrainedModel, new_tokens: int, memory: float) -> int:
    """The prompts answered at once: a power of two that fits the memory, for the last bits of answers depend on it."""
    if getattr(model, "_is_stateful", False):
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
