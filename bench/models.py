"""Models and tokenizers of the sizes that are measured: LLaMA's architecture, random weights, a vocabulary of the real data."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """A LLaMA-architecture model."""

    name: str
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    tied: bool = False

    @property
    def block_parameters(self) -> int:
        """Weights of the matrix products of all blocks."""
        return self.layers * (4 * self.hidden**2 + 3 * self.hidden * self.intermediate)

    def training_flops(self, lengths: Iterable[int], supervised: int) -> float:
        """Arithmetic of one pass forward and backward, without padding: 6 x block parameters a token, causal attention (each
        token with itself and those before it), the projection at `supervised` positions."""
        lengths = list(lengths)
        attention = sum(6 * length * (length + 1) * self.hidden for length in lengths) * self.layers
        return 6.0 * self.block_parameters * sum(lengths) + attention + 6.0 * self.hidden * self.vocabulary * supervised


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("1m", 4096, 128, 352, 4, 4, tied=True),
        Shape("20m", 32000, 256, 688, 6, 8),
        Shape("100m", 32000, 768, 2048, 8, 12),
        Shape("7b", 32000, 4096, 11008, 32, 32),
        Shape("13b", 32000, 5120, 13824, 40, 40),
    )
}


def make_tokenizer(texts: Iterable[str], vocabulary: int, folder: Path) -> Path:
    """A SentencePiece BPE with bytes to fall back on and digits apart, as LLaMA's, trained on `texts`: `tokenizer.model`."""
    import sentencepiece

    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=made,
        vocab_size=vocabulary,
        model_type="bpe",
        character_coverage=0.9995,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        num_threads=2,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tokenizer.model"
    path.write_bytes(made.getvalue())
    return path


def make_base(shape: Shape, tokenizer_model: Path, folder: Path) -> Path:
    """A folder with the model and its tokenizer, as transformers saves them."""
    import torch
    from transformers import LlamaForCausalLM, LlamaTokenizer

    tokenizer = LlamaTokenizer.from_pretrained(tokenizer_model.parent, pad_token="<unk>")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(config_of(shape)).save_pretrained(folder)
    return folder


def config_of(shape: Shape) -> Any:
    """The transformers config of a shape."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=4096,
        tie_word_embeddings=shape.tied,
        bos_token_id=1,
        eos_token_id=2,
    )
