"""Generation with transformers on this machine, in batches with a cache.

The shortest prompts come first, so sequences with long answers have short prompts. All sequences then have similar
lengths, with little padding. Prompts are padded on the left. After some sequences have finished, waiting prompts take
their slots, so the last long answers do not run alone. Without waiting prompts the slots are dropped.

A small model's step on a CPU is many short operations. Between them the cores wait for Python and for each other. Two
loops in threads with half the cores each keep them busy: torch lets other threads run while it computes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
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
from .rows import Rows, begin, give_room

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
        one_by_one = getattr(self.model, "_is_stateful", False)
        return self._one_by_one(prompts, keys) if one_by_one else self._in_batches(prompts, keys)

    def _in_batches(self, prompts: Sequence[list[int]], keys: Sequence[str]) -> Answers:
        """Lengths alone decide the loop of a prompt, so an answer always has the same batch."""

        def begun(places: Sequence[int]) -> Rows:
            rows = begin(places, [prompts[place] for place in places], self.ends[0], self.model.device)
            if self.decoding.temperature > 0:
                for slot in rows.slots:
                    slot.random_state = self._generator(keys[slot.place])
            return rows

        ordered = sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), place))
        shares = [ordered[loop :: self.loops] for loop in range(max(1, min(self.loops, len(ordered))))]
        loops = [self._loop(share, begun) for share in shares]
        yield from filter(None, loops[0]) if len(loops) == 1 else _side_by_side(loops)

    def _loop(self, places: Sequence[int], begun: Callable[[Sequence[int]], Rows]) -> Iterator[Answer | None]:
        """The answers to the prompts `places`, the first first, and None between two steps, where the loop can be stopped."""
        import torch

        waiting = deque(places)
        answering: Rows | None = None
        while waiting or answering:
            yield None
            if answering and len(answering.free) < FREE_TO_REFILL * len(answering.slots):
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
                        give_room(answering.cache)
                del fresh

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
                if not self._stops(slot.answer):
                    continue
                ended.append((slot.place, slot.answer, "stop"))
            rows.free.append(row)
        return ended

    def _stops(self, answer: Sequence[int]) -> bool:
        """Whether the end of an answer holds a stop text. A token has at least a byte."""
        stop = self.decoding.stop
        if stop is None:
            return False
        end = decode(answer[-max((len(text.encode()) for text in stop), default=0) - 1 :], self.tokenizer)
        return any(text in end for text in stop)

    def _one_by_one(self, prompts: Sequence[Sequence[int]], keys: Sequence[str]) -> Answers:
        """Answers of models with a recurrent state, whose batches cannot change."""
        import torch

        decoding = self.decoding
        chance = {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0}
        for place, (prompt_ids, key) in enumerate(zip(prompts, keys, strict=True)):
            ids = torch.tensor([prompt_ids], device=self.model.device)
            with torch.inference_mode(), torch.random.fork_rng():
                torch.manual_seed(self._generator(key).initial_seed())
                out = self.model.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=decoding.max_new_tokens,
                    do_sample=decoding.temperature > 0,
                    eos_token_id=self.ends,
                    pad_token_id=self.ends[0],
                    **(chance if decoding.temperature > 0 else {}),
                )[0, len(prompt_ids) :].tolist()
            stopped = bool(out) and out[-1] in self.ends
            yield (place, out[:-1], "stop") if stopped else (place, out, "length")

    def _choose(self, logits: torch.Tensor, random_states: Sequence[torch.Generator | None]) -> torch.Tensor:
        """The next tokens (sequences,) for logits (sequences, vocabulary)."""
        import torch

        if self.decoding.temperature == 0:
            return logits.argmax(-1)
        probabilities = (logits / self.decoding.temperature).softmax(-1).cpu()
        if self.decoding.top_p < 1:
            ordered, places = probabilities.sort(-1, descending=True)
            ordered[ordered.cumsum(-1) - ordered > self.decoding.top_p] = 0.0
            probabilities = torch.zeros_like(probabilities).scatter(-1, places, ordered)
        pairs = zip(probabilities, random_states, strict=True)
        return torch.cat([torch.multinomial(row, 1, generator=draw) for row, draw in pairs]).to(logits.device)

    def _generator(self, key: str) -> torch.Generator:
        """The random state of one request, independent of its batch."""
        import torch

        return torch.Generator().manual_seed(seed_of(self.decoding.seed, key))


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
    return Local(model, opening.load_tokenizer(folder), decoding, rows, loops_at_once(model))


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
