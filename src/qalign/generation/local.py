"""Generation with transformers on this machine: batched, cached, and without work for what has ended.

Requests are ordered by length and batched; prompts are padded on the left; a sequence that has ended leaves the batch
and its cache, so that the last long answers of a batch do not drag the others along.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..alignment.prompts import end_of_sequence, prompt, render_prompts
from ..placement import Placement
from ..records import Finish, sha256
from ..training.models import check_device, check_length, load_model, load_tokenizer, resolve
from .protocol import Completion, DecodingConfig, Request, seed_of

if TYPE_CHECKING:
    import torch


class Local:
    """A transformers model with its tokenizer on a device. The last bits of its numbers depend on the shape of a batch."""

    independent = False

    def __init__(self, model: Any, tokenizer: Any, decoding: DecodingConfig, batch_size: int) -> None:
        self.model, self.tokenizer, self.decoding, self.batch_size = model.eval(), tokenizer, decoding, batch_size
        self.ends = ends_of(getattr(model.generation_config, "eos_token_id", None), tokenizer)

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers batch by batch, the longest prompts first."""
        prompts = render_prompts([request.instruction for request in requests], self.tokenizer)
        order = sorted(range(len(requests)), key=lambda i: (-len(prompts[i]), i))
        longest = max((len(ids) for ids in prompts), default=0) + self.decoding.max_new_tokens
        check_length(self.model, longest, "set generation.max_new_tokens lower")
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            answer = self._one_by_one if getattr(self.model, "_is_stateful", False) else self._answers
            answers = answer([prompts[i] for i in batch], [requests[i].key for i in batch])
            for i, (ids, finish) in zip(batch, answers, strict=True):
                yield Completion(
                    requests[i].key,
                    self.tokenizer.decode(ids, skip_special_tokens=True),
                    sha256(prompt(requests[i].instruction)),
                    len(ids),
                    finish,
                )

    def _answers(self, prompts: Sequence[Sequence[int]], keys: Sequence[str]) -> list[tuple[list[int], Finish]]:
        """Generated ids (the end-of-sequence token left off) and the reason of ending, for each prompt."""
        import torch

        from .cache import give_room

        device = self.model.device
        length = max(len(ids) for ids in prompts)
        ids = torch.full((len(prompts), length), self.ends[0], dtype=torch.long)
        mask = torch.zeros((len(prompts), length), dtype=torch.long)
        for row, tokens in enumerate(prompts):
            ids[row, length - len(tokens) :] = torch.tensor(tokens)
            mask[row, length - len(tokens) :] = 1
        ids, mask = ids.to(device), mask.to(device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        draws = [self._generator(key) for key in keys] if self.decoding.temperature > 0 else []
        ends = torch.tensor(self.ends, device=device)
        answers: list[list[int]] = [[] for _ in prompts]
        finishes: list[Finish] = ["length"] * len(prompts)
        alive = list(range(len(prompts)))  # which prompt each row of the batch belongs to
        cache: Any = None
        with torch.inference_mode():
            for _ in range(self.decoding.max_new_tokens):
                out = self.model(
                    input_ids=ids,
                    attention_mask=mask,
                    position_ids=positions,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
                if cache is None:
                    cache = out.past_key_values
                    give_room(cache)
                chosen = self._choose(out.logits[:, -1].float(), [draws[row] for row in alive] if draws else [])
                ended = torch.isin(chosen, ends)
                for row, token, end in zip(alive, chosen.tolist(), ended.tolist(), strict=True):
                    if end:
                        finishes[row] = "stop"
                    else:
                        answers[row].append(token)
                ids, positions = chosen[:, None], positions[:, -1:] + 1
                mask = torch.cat([mask, mask.new_ones(len(alive), 1)], dim=1)
                if bool(ended.any()):
                    keep = (~ended).nonzero().flatten()
                    alive = [alive[row] for row in keep.tolist()]
                    if not alive:
                        break
                    cache.batch_select_indices(keep)
                    ids, positions, mask = ids[keep], positions[keep], mask[keep]
        return list(zip(answers, finishes, strict=True))

    def _one_by_one(self, prompts: Sequence[Sequence[int]], keys: Sequence[str]) -> list[tuple[list[int], Finish]]:
        """The same for models with a recurrent state (Mamba and its like), whose rows cannot leave a batch."""
        import torch

        sampling = self.decoding.temperature > 0
        chance = (
            {"temperature": self.decoding.temperature, "top_p": self.decoding.top_p, "top_k": 0} if sampling else {}
        )
        answers: list[tuple[list[int], Finish]] = []
        for prompt_ids, key in zip(prompts, keys, strict=True):
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
            answers.append((out[:-1], "stop") if stopped else (out, "length"))
        return answers

    def _choose(self, logits: torch.Tensor, draws: Sequence[torch.Generator]) -> torch.Tensor:
        """The next token of each row (rows,) from logits (rows, vocabulary), float32."""
        import torch

        if not draws:
            return logits.argmax(-1)
        probabilities = (logits / self.decoding.temperature).softmax(-1).cpu()
        if self.decoding.top_p < 1:
            ordered, places = probabilities.sort(-1, descending=True)
            ordered[ordered.cumsum(-1) - ordered > self.decoding.top_p] = 0.0
            probabilities = torch.zeros_like(probabilities).scatter(-1, places, ordered)
        drawn = [torch.multinomial(row, 1, generator=draw) for row, draw in zip(probabilities, draws, strict=True)]
        return torch.cat(drawn).to(logits.device)

    def _generator(self, key: str) -> torch.Generator:
        """The source of chance of one request: the same whatever else is in its batch."""
        import torch

        return torch.Generator().manual_seed(seed_of(self.decoding.seed, key))


def ends_of(configured: int | list[int] | None, tokenizer: Any) -> list[int]:
    """The tokens that end an answer: the tokenizer's, and what a model's generation config names."""
    ends = configured if isinstance(configured, list) else [configured]
    return sorted({end_of_sequence(tokenizer), *(int(end) for end in ends if end is not None)})


def open_local(folder: Path, decoding: DecodingConfig, placement: Placement) -> Local:
    """The model of a folder on the device that `placement` names."""
    import torch

    device = placement.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device)
    folder = resolve(folder)
    model = load_model(folder, getattr(torch, decoding.precision)).to(device)
    return Local(model, load_tokenizer(folder), decoding, placement.batch_size)
