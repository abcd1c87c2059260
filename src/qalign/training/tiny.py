"""The base named `tiny`: a small LLaMA-architecture model with random weights, for trying everything without a download.

Its tokenizer is a byte-level BPE trained on the run's own corpus, digits apart, so that every script is covered and
nothing is unknown. It knows nothing; a short training teaches it the form of an answer and little else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SettingError
from .models import save

PAD, BEGIN, END = "<pad>", "<s>", "</s>"
SMALLEST_VOCABULARY = 256 + 3


@dataclass(frozen=True, slots=True)
class TinyConfig:
    """The shape of the model and the seed of its weights."""

    vocabulary: int = 4096
    hidden_size: int = 128
    intermediate_size: int = 352
    layers: int = 4
    heads: int = 4
    max_positions: int = 4096
    seed: int = 1234

    def __post_init__(self) -> None:
        for name in ("hidden_size", "intermediate_size", "layers", "heads", "max_positions"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} of the tiny base is {getattr(self, name)}; it must be 1 or more")
        if self.hidden_size % (2 * self.heads):
            raise SettingError(
                f"hidden_size {self.hidden_size} of the tiny base does not give its {self.heads} heads an even width each"
            )
        if self.vocabulary < SMALLEST_VOCABULARY:
            raise SettingError(
                f"vocabulary of the tiny base is {self.vocabulary}; bytes alone need {SMALLEST_VOCABULARY}"
            )


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE as a transformers tokenizer that begins every text with the beginning-of-sequence token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    raw.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A $B", special_tokens=[(BEGIN, raw.token_to_id(BEGIN))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token=BEGIN, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )


def make_tiny(texts: Iterable[str], config: TinyConfig, output: Path) -> None:
    """Trains the tokenizer on `texts`, draws the weights, and saves both as an ordinary Hugging Face folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = train_tokenizer(texts, config.vocabulary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                num_key_value_heads=config.heads,
                max_position_embeddings=config.max_positions,
                tie_word_embeddings=True,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    save(model, tokenizer, output)
