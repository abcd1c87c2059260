"""Generation with vLLM's offline engine, which schedules all requests itself.

It needs a GPU and vLLM. It receives token ids, those of training, so no template of the server applies. Its last bits
depend on its batches, and these on the machine. Two runs may differ where two tokens are nearly equally likely.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..alignment.encoding import decode
from ..alignment.prompts import encode_prompts
from ..errors import ModelError
from ..models.opening import load_tokenizer, resolve
from ..placement import Placement
from .local import ends_of
from .protocol import Completion, DecodingConfig, Request, seed_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from vllm import LLM

REQUESTS_AT_ONCE = 1024
"""Requests per chunk: enough to fill the engine, few enough to lose."""


class Engine:
    """A vLLM engine with the model's tokenizer."""

    chunk = None

    def __init__(
        self, engine: LLM, tokenizer: PreTrainedTokenizerBase, decoding: DecodingConfig, ends: Sequence[int]
    ) -> None:
        self.engine, self.tokenizer, self.decoding, self.ends = engine, tokenizer, decoding, ends

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers in the order of the requests. ModelError if the engine aborted one."""
        from vllm import SamplingParams

        for start in range(0, len(requests), REQUESTS_AT_ONCE):
            part = requests[start : start + REQUESTS_AT_ONCE]
            prompts = encode_prompts([request.prompt for request in part], self.tokenizer)
            sampling = [
                SamplingParams(
                    temperature=self.decoding.temperature,
                    top_p=self.decoding.top_p,
                    seed=seed_of(self.decoding.seed, request.key),
                    max_tokens=self.decoding.max_new_tokens,
                    stop_token_ids=list(self.ends),
                    stop=list(self.decoding.stop or ()),
                    detokenize=bool(self.decoding.stop),  # stop texts are looked for in the text
                )
                for request in part
            ]
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


def open_vllm(folder: Path, decoding: DecodingConfig, placement: Placement) -> Engine:
    """The model of a folder in a new engine. No code of the folder runs."""
    try:
        from vllm import LLM
    except ImportError as error:
        raise ModelError("generation.backend=vllm needs vLLM and a GPU: pip install vllm") from error
    from transformers import GenerationConfig

    folder = resolve(folder)
    tokenizer = load_tokenizer(folder)
    try:
        configured = GenerationConfig.from_pretrained(folder).eos_token_id
    except OSError:  # without one, the tokenizer's token ends an answer
        configured = None
    engine = LLM(
        model=str(folder),
        dtype=decoding.precision,
        seed=decoding.seed,
        load_format="safetensors",
        generation_config="vllm",
        trust_remote_code=False,
    )
    return Engine(engine, tokenizer, decoding, ends_of(configured, tokenizer))
