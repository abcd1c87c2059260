"""The generation side of `bench/gpu.py`: answers of one length to the same prompts, by the package and its neighbours.

The package with captured steps and without; `transformers`' generate, in batches of 32; its continuous batching, which takes
FlashAttention where that is installed; and vLLM where it is installed, with random weights of the same shape.
"""

from __future__ import annotations

import importlib.util
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import common

import models
from qalign.generation.local import Local
from qalign.generation.protocol import DecodingConfig, Request

TOKENS = 128
REFERENCE_BATCH = 32
CAPTURED, PLAIN, SAMPLED = "qalign, captured steps", "qalign, plain steps", "qalign, captured, sampled"
GENERATE, CONTINUOUS, VLLM = "transformers generate", "transformers continuous batching", "vLLM"


Side = Callable[[], list[list[int]]]
"""Answers all prompts."""


class NumberTokenizer:
    """Text is numbers with spaces: token ids. Enough of a tokenizer for a backend whose answers nobody reads."""

    eos_token_id, bos_token_id, pad_token_id, name_or_path = 2, 1, 0, "numbers"

    def __init__(self, prompts: dict[str, list[int]]) -> None:
        self.prompts = prompts

    def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        keys = (text.partition("### Instruction:\n")[2].partition("\n")[0] for text in texts)
        return {"input_ids": [self.prompts[key] for key in keys]}

    def decode(self, ids: list[int], **_: Any) -> str:
        return " ".join(map(str, ids))


def generation(
    shape: models.Shape, device: str, lengths: Sequence[int], in_common: int, sequences: Sequence[int]
) -> dict[str, dict[str, common.Measured]]:
    """Tokens a second of each side, with so many sequences at once; prompts begin with `in_common` same tokens."""
    import torch

    torch.backends.cuda.enable_cudnn_sdp(False)
    config = models.config_of(shape)
    config.dtype = torch.bfloat16
    draw = random.Random(0)
    begin = [draw.randrange(3, shape.vocabulary) for _ in range(in_common)]
    prompts = [
        [*begin, *(draw.randrange(3, shape.vocabulary) for _ in range(lengths[place % len(lengths)] - in_common))]
        for place in range(max(sequences))
    ]
    measured: dict[str, dict[str, common.Measured]] = {f"{count} sequences": {} for count in sequences}
    _by_torch(config, device, shape.vocabulary, prompts, measured)
    if importlib.util.find_spec("vllm"):
        with tempfile.TemporaryDirectory() as folder:
            config.save_pretrained(folder)
            engine = _engine(Path(folder))
            for count, rows in zip(sequences, measured.values(), strict=True):
                _timed(VLLM, partial(partial, _vllm, engine, prompts[:count]), device, rows)
    return measured


def _by_torch(
    config: Any,
    device: str,
    vocabulary: int,
    prompts: Sequence[list[int]],
    measured: dict[str, dict[str, common.Measured]],
) -> None:
    """Measures the sides that share a model of torch. It is gone afterwards."""
    import torch
    from transformers import LlamaForCausalLM

    with torch.device(device):
        model: Any = LlamaForCausalLM(config).to(torch.bfloat16).eval()
    model.generation_config.eos_token_id = None
    for name, rows in measured.items():
        asked = prompts[: int(name.split()[0])]
        package = partial(_package, model, asked, vocabulary)
        greedy = _timed(CAPTURED, partial(package, captured=True), device, rows)
        sides: dict[str, Callable[[], Side]] = {
            PLAIN: partial(package, captured=False),
            GENERATE: partial(partial, _generate, model, asked),
            CONTINUOUS: partial(partial, _continuous, model, asked),
        }
        if device != "cuda":
            del sides[CONTINUOUS]  # minutes, without FlashAttention
        for side, make in sides.items():
            answers = _timed(side, make, device, rows)
            if answers and greedy:
                rows[side]["different"] = float(sum(a != b for a, b in zip(answers, greedy, strict=True)))
        _timed(SAMPLED, partial(package, captured=True, temperature=1.0, top_p=0.95), device, rows)


def _timed(
    name: str, make: Callable[[], Side], device: str, rows: dict[str, common.Measured]
) -> list[list[int]] | None:
    """The answers of a side, and the tokens a second of its second call into `rows`. None if it cannot run here."""
    import gc

    import torch

    def synchronize() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    try:
        side = make()
        side()  # to warm up, and to capture
        synchronize()
        begun = time.perf_counter()
        answers = side()
        synchronize()
        rows[name] = {"tokens_per_second": sum(map(len, answers)) / (time.perf_counter() - begun)}
        print(len(answers), name, rows[name], flush=True)
    except Exception as error:  # of any library; the other sides do not need this one
        print(name, "cannot run:", type(error).__name__, str(error)[:300], flush=True)
        return None
    finally:
        side = None  # type: ignore[assignment]  # frees its cache
        gc.collect()
        if device == "cuda":
            torch.cuda.empty_cache()
    return answers


def _package(model: Any, prompts: Sequence[list[int]], vocabulary: int, *, captured: bool, **decoding: Any) -> Side:
    config = DecodingConfig(max_new_tokens=TOKENS, precision="bfloat16", **decoding)
    asked = {f"q{place}": prompt for place, prompt in enumerate(prompts)}
    tokenizer: Any = NumberTokenizer(asked)
    backend = Local(model, tokenizer, config, len(prompts), 1, captured and model.device.type == "cuda")
    backend.ends = [vocabulary]  # no token ends an answer: those of random weights go on to the limit

    def answers() -> list[list[int]]:
        found = {
            one.key: list(map(int, one.text.split())) for one in backend.generate([Request(key, key) for key in asked])
        }
        return [found[key] for key in asked]

    return answers


def _generate(model: Any, prompts: Sequence[list[int]]) -> list[list[int]]:
    import torch

    answers: list[list[int]] = []
    for start in range(0, len(prompts), REFERENCE_BATCH):
        rows = prompts[start : start + REFERENCE_BATCH]
        width = max(map(len, rows))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=model.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=model.device)
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=TOKENS, do_sample=False, pad_token_id=0
            )
        answers += out[:, width:].tolist()
    return answers


def _continuous(model: Any, prompts: Sequence[list[int]]) -> list[list[int]]:
    from transformers import GenerationConfig

    config = GenerationConfig(max_new_tokens=TOKENS, do_sample=False, eos_token_id=-1, pad_token_id=0)
    found = model.generate_batch(inputs=list(prompts), generation_config=config)
    return [answer.generated_tokens for answer in found.values()]


def _engine(folder: Path) -> Any:
    from vllm import LLM

    return LLM(
        model=str(folder), dtype="bfloat16", load_format="dummy", skip_tokenizer_init=True, gpu_memory_utilization=0.8,
        enable_prefix_caching=False,
    )  # fmt: skip


def _vllm(engine: Any, prompts: Sequence[list[int]]) -> list[list[int]]:
    from vllm import SamplingParams

    sampling = SamplingParams(temperature=0.0, max_tokens=TOKENS, ignore_eos=True, detokenize=False)
    found = engine.generate([{"prompt_token_ids": prompt} for prompt in prompts], sampling, use_tqdm=False)
    return [list(answer.outputs[0].token_ids) for answer in found]


def table(measured: dict[str, dict[str, common.Measured]]) -> str:
    """Tokens a second, and the greedy answers that differ from the package's with captured steps."""
    sides = dict.fromkeys(name for found in measured.values() for name in found)
    rows = []
    for name in sides:
        cells = []
        for found in measured.values():
            row = found.get(name, {})
            cells.append(f"{row['tokens_per_second']:,.0f}" if row else "")
            cells.append(f"{row['different']:.0f}" if "different" in row else "")
        rows.append([name, *cells])
    header = [f"{count}, {words}" for count in measured for words in ("tokens/s", "answers that differ")]
    return common.table(["generation", *header], rows)
