"""Generation with vLLM's offline engine, which schedules all requests itself.

It receives token ids, those of training, so no template applies. Its last bits depend on its batches, and these on the
machine. Two runs may differ where two tokens are nearly equally likely.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..alignment.encoding import decode
from ..alignment.prompts import encode_prompts
from ..errors import ModelError, SettingError, nearest
from ..models.opening import faults, load_tokenizer, resolve
from ..pipeline.workers import end_with
from ..placement import Placement
from .local import ends_of
from .protocol import Completion, DecodingConfig, Request, seed_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from vllm import LLM

REQUESTS_AT_ONCE = 1024
"""Requests per chunk: enough to fill the engine, few enough to lose."""
OWNER = "QALIGN_OWNER_OF_VLLM"
"""The variable that names the process with which a process of vLLM ends."""
ENVIRONMENT = {"VLLM_LOGGING_STREAM": "ext://sys.stderr", "VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1"}
"""Variables of vLLM, where they are not set. Standard output is for results."""
FIXED = (
    "additional_config", "code_revision", "config_format", "convert", "data_parallel", "diffusion_config", "dtype", "hf_",
    "generation_config", "kv_cache_dtype", "load_format", "logits_processors", "mamba_cache_dtype", "model", "override_",
    "quantization", "revision", "runner", "scheduler_cls", "seed", "skip_", "spec", "tokenizer", "trust_", "watermark_",
    "worker_",
)  # fmt: skip
"""Arguments begin with these that decide the answers or which code runs, or that the offline engine does not have."""


class Engine:
    """A vLLM engine with the model's tokenizer."""

    chunk = None

    def __init__(
        self, engine: LLM, tokenizer: PreTrainedTokenizerBase, decoding: DecodingConfig, ends: Sequence[int]
    ) -> None:
        self.engine, self.tokenizer, self.decoding, self.ends = engine, tokenizer, decoding, ends

    def close(self) -> None:
        """Ends the engine's processes, which keep the memory of the device."""
        self.engine.llm_engine.engine_core.shutdown()

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers in the order of the requests. ModelError if the engine aborted one."""
        from vllm import SamplingParams

        decoding = self.decoding
        shared: dict[str, Any] = {
            "temperature": decoding.temperature, "top_p": decoding.top_p, "max_tokens": decoding.max_new_tokens,
            "stop_token_ids": list(self.ends), "stop": list(decoding.stop or ()), "detokenize": bool(decoding.stop),
        }  # fmt: skip
        for start in range(0, len(requests), REQUESTS_AT_ONCE):
            part = requests[start : start + REQUESTS_AT_ONCE]
            prompts = encode_prompts([request.prompt for request in part], self.tokenizer)
            sampling = [SamplingParams(seed=seed_of(decoding.seed, request.key), **shared) for request in part]
            inputs = [{"prompt_token_ids": list(ids)} for ids in prompts]
            outputs = self.engine.generate(inputs, sampling, use_tqdm=False)
            for request, output in zip(part, outputs, strict=True):
                said = output.outputs[0]
                if said.finish_reason not in ("stop", "length"):
                    raise ModelError(f"vLLM gave {request.key} up ({said.finish_reason}); give the same command again")
                ids = list(said.token_ids)
                if said.finish_reason == "stop" and ids and ids[-1] in self.ends:
                    ids.pop()
                text, finish = self.decoding.ended(decode(ids, self.tokenizer), said.finish_reason)
                yield request.answered(text, len(ids), finish)


def engine_arguments(placement: Placement) -> dict[str, object]:
    """The arguments of `--vllm`. SettingError for one that is no execution setting or, where vLLM is installed, not known."""
    arguments = placement.engine_arguments
    if fixed := [name for name in arguments if name.startswith(FIXED)]:
        raise SettingError(f"--vllm takes no {fixed[0]}: it changes answers, or the engine lacks it; leave it out")
    if arguments and find_spec("vllm"):
        _vllm()
        from vllm.engine.arg_utils import EngineArgs

        known = [field.name for field in fields(EngineArgs) if not field.name.startswith(FIXED)]
        if unknown := [name for name in arguments if name not in known]:
            raise SettingError(f"--vllm {unknown[0]}: vLLM has no such argument; {nearest(unknown[0], known)}")
    return arguments


def end_with_owner() -> None:
    """Ends this process of vLLM once the one that started it is gone, whatever ended that. vLLM calls it as a plugin."""
    if (owner := os.environ.get(OWNER, str(os.getpid()))) != str(os.getpid()):
        os.environ[OWNER] = str(os.getpid())  # of the processes that this one starts
        end_with(int(owner))


def _vllm() -> Any:
    """The library, which learns where its lines go and with which process its own end."""
    # A forked process would not call the plugin.
    os.environ.update({**ENVIRONMENT, **os.environ, OWNER: str(os.getpid()), "VLLM_WORKER_MULTIPROC_METHOD": "spawn"})
    try:
        return import_module("vllm")
    except ImportError as error:
        raise ModelError("generation.backend=vllm needs vLLM: pip install vllm") from error


def open_vllm(folder: Path, decoding: DecodingConfig, placement: Placement) -> Engine:
    """The model of a folder in a new engine. No code of the folder runs."""
    vllm = _vllm()
    import torch
    from transformers import GenerationConfig

    folder = resolve(folder)
    tokenizer = load_tokenizer(folder)
    try:
        configured = GenerationConfig.from_pretrained(folder).eos_token_id
    except OSError:  # without one, the tokenizer's token ends an answer
        configured = None
    gc.collect()  # what training in this process left on the device
    torch.cuda.empty_cache()
    with faults(f"vLLM cannot open {folder}", "change --vllm, or give --set generation.backend=transformers"):
        engine = vllm.LLM(
            model=str(folder), dtype=decoding.precision, seed=decoding.seed, load_format="safetensors", generation_config="vllm",
            trust_remote_code=False, **engine_arguments(placement),
        )  # fmt: skip
    return Engine(engine, tokenizer, decoding, ends_of(configured, tokenizer))
