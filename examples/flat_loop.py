"""One training stage in one flat file: what `qalign.training` computes, in the ordinary way and with nothing around it.

For reading, and for checking: the tests train both and compare losses and gradients. There are no token budgets, no
second device, no checkpoints here; every micro-batch has the same number of rows, padding is masked, the vocabulary is
projected at every position. What is left is the arithmetic:

    loss of a step = cross-entropy summed over the supervised tokens of the global batch / their number

    python examples/flat_loop.py --model BASE --examples FOLDER --output TRAINED

FOLDER holds `examples.jsonl`, one example a line with the fields `instruction` and `response`.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:"
)
IGNORED = -100  # a label that cross-entropy leaves out

Tokens = tuple[list[int], int]  # token ids of an example, and how many of them are the prompt


def tokenize(tokenizer: Any, instruction: str, response: str) -> Tokens:
    """The prompt, the response at once after it, and the end-of-sequence token; only what follows the prompt is learnt."""
    prompt = tokenizer(PROMPT.format(instruction=instruction))["input_ids"]
    whole = tokenizer(PROMPT.format(instruction=instruction) + response)["input_ids"]
    if whole[: len(prompt)] != prompt:  # the tokenizer joined the colon with the response
        whole = prompt + tokenizer(response, add_special_tokens=False)["input_ids"]
    return [*whole, tokenizer.eos_token_id], len(prompt)


def read_examples(folder: Path, tokenizer: Any, max_length: int) -> list[Tokens]:
    """All examples as tokens; one that exceeds the limit is an error."""
    with (folder / "examples.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    examples = [tokenize(tokenizer, row["instruction"], row["response"]) for row in rows]
    if too_long := sum(len(ids) > max_length for ids, _ in examples):
        raise SystemExit(f"{too_long} examples are longer than {max_length} tokens; raise --max-length")
    return examples


def padded(examples: list[Tokens]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, attention mask and labels, (rows, length) each, padded on the right; prompt and padding are not learnt."""
    length = max(len(ids) for ids, _ in examples)
    ids = torch.zeros(len(examples), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for row, (tokens, prompt) in enumerate(examples):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        labels[row, prompt : len(tokens)] = torch.tensor(tokens[prompt:])
    return ids, mask, labels


def summed_loss(model: Any, examples: list[Tokens]) -> torch.Tensor:
    """Cross-entropy summed over supervised tokens: the logits at each position are read against the next token."""
    ids, mask, labels = (tensor.to(model.device) for tensor in padded(examples))
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits  # (rows, length, vocabulary)
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
    )


def batch_loss_and_gradients(model: Any, examples: list[Tokens], micro_batch_size: int) -> float:
    """The mean loss of a global batch; its gradient is left in `model`, accumulated over micro-batches."""
    supervised = sum(len(ids) - prompt for ids, prompt in examples)
    model.zero_grad()
    total = 0.0
    for start in range(0, len(examples), micro_batch_size):
        loss = summed_loss(model, examples[start : start + micro_batch_size]) / supervised
        loss.backward()
        total += loss.item()
    return total


def global_batches(examples: list[Tokens], size: int, epochs: int, seed: int) -> list[list[Tokens]]:
    """The examples of every step: a new permutation each epoch, the last batch of it as small as it comes."""
    batches = []
    for epoch in range(epochs):
        order = list(range(len(examples)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        batches += [[examples[i] for i in order[start : start + size]] for start in range(0, len(order), size)]
    return batches


def learning_rate(step: int, steps: int, peak: float, warmup_ratio: float) -> float:
    """Up in a straight line over the first steps, down to zero along half a cosine over the others."""
    warmup = math.ceil(steps * warmup_ratio)
    if step < warmup:
        return peak * step / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def train(model: Any, batches: list[list[Tokens]], options: argparse.Namespace) -> list[float]:
    """Takes a step for each batch; returns the loss of each."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.0)
    model.train()
    losses = []
    for step, batch in enumerate(batches):
        rate = learning_rate(step, len(batches), options.learning_rate, options.warmup_ratio)
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses.append(batch_loss_and_gradients(model, batch, options.micro_batch_size))
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), options.max_grad_norm)
        optimizer.step()
        print(f"step {step + 1}/{len(batches)}  loss {losses[-1]:.4f}  gradient norm {norm:.3f}  rate {rate:.2e}")
    return losses


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; the defaults are the study's."""
    parser = argparse.ArgumentParser(description="Fine-tune a causal language model on instruction examples.")
    parser.add_argument("--model", type=Path, required=True, help="folder of the base, as transformers saves it")
    parser.add_argument("--examples", type=Path, required=True, help="folder that holds examples.jsonl")
    parser.add_argument("--output", type=Path, required=True, help="folder for the trained model")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the examples (%(default)s)")
    parser.add_argument("--max-steps", type=int, help="end after so many steps (none: all epochs)")
    parser.add_argument("--learning-rate", type=float, default=2e-5, help="its highest value (%(default)s)")
    parser.add_argument(
        "--warmup-ratio", type=float, default=0.03, help="share of the steps that warm up (%(default)s)"
    )
    parser.add_argument("--max-grad-norm", type=float, default=1.0, help="the gradient is clipped there (%(default)s)")
    parser.add_argument("--global-batch-size", type=int, default=128, help="examples a step (%(default)s)")
    parser.add_argument("--micro-batch-size", type=int, default=8, help="examples at once (%(default)s)")
    parser.add_argument("--max-length", type=int, default=512, help="tokens an example may have (%(default)s)")
    parser.add_argument("--seed", type=int, default=1234, help="decides the order of the examples (%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> list[float]:
    """Trains and saves; returns the loss of each step."""
    options = parse(arguments)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    examples = read_examples(options.examples, tokenizer, options.max_length)
    batches = global_batches(examples, options.global_batch_size, options.epochs, options.seed)[: options.max_steps]
    losses = train(model, batches, options)
    model.save_pretrained(options.output)
    tokenizer.save_pretrained(options.output)
    return losses


if __name__ == "__main__":
    main()
