"""The base named `tiny`: a small LLaMA with random weights. It needs no download.

Its tokenizer is a BPE with byte fallback, trained on the run's own corpus. So it covers every script. Each digit is a token.
The model knows nothing, and a short training teaches it the form of an answer and little else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..alignment.encoding import BYTES
from ..errors import SettingError
from .opening import SPECIAL, save

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, BEGIN, END = "<pad>", "<s>", "</s>"
SMALLEST_VOCABULARY = 256 + 3
WORD = r"\p{Han}|\p{Hiragana}+|[\p{Katakana}ー]+| ?[\p{L}\p{M}]+| ?\p{N}| ?[^\s\p{L}\p{M}\p{N}]+|\s+"
"""What no token reaches across: a word with its accents and vowel signs and the space before it; one digit; one Chinese
character; what stands in one script in Japanese, which is written without spaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyConfig:
    """The shape of the model, and its weights before training."""

    vocabulary: int = 4096
    """Tokens in the vocabulary."""
    hidden_size: int = 128
    """The width of the residual stream."""
    intermediate_size: int = 352
    """The width inside the feed-forward layers."""
    layers: int = 4
    """Transformer layers."""
    heads: int = 4
    """Attention heads per layer."""
    max_positions: int = 4096
    """The longest sequence, in tokens."""
    tied: bool = True
    """One matrix embeds tokens and predicts them."""
    embedding_std: float = 0.02
    """The standard deviation of the initial embeddings."""
    residual_std: float = 0.02
    """The standard deviation of the initial projections that write into the residual stream."""
    seed: int = 1234
    """The seed of the initial weights."""

    @property
    def parameters(self) -> int:
        """Parameters of a LLaMA block stack with its embeddings."""
        block = 4 * self.hidden_size**2 + 3 * self.hidden_size * self.intermediate_size + 2 * self.hidden_size
        embeddings = (1 if self.tied else 2) * self.vocabulary * self.hidden_size
        return embeddings + self.layers * block + self.hidden_size

    def __post_init__(self) -> None:
        least = dict.fromkeys(("hidden_size", "intermediate_size", "layers", "heads", "max_positions"), 1)
        least |= {"embedding_std": 0, "residual_std": 0, "vocabulary": SMALLEST_VOCABULARY}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise SettingError(f"{name} of the tiny base is {getattr(self, name)}; it must be {value} or more")
        if self.hidden_size % (2 * self.heads):
            what = f"hidden_size {self.hidden_size} of the tiny base"
            raise SettingError(f"{what} does not give its {self.heads} heads an even width each")


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A BPE over characters with byte fallback. It begins every text with the beginning-of-sequence token."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(byte_fallback=True))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), "isolated")
    raw.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    special = [PAD, BEGIN, END, *BYTES]
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special, show_progress=False)
    raw.train_from_iterator(texts, trainer)
    begin = (BEGIN, raw.token_to_id(BEGIN))
    raw.post_processor = processors.TemplateProcessing(f"{BEGIN} $A", f"{BEGIN} $A $B", special_tokens=[begin])
    # The library's trainer takes bytes as special tokens only. Decoding leaves these out, so `Giá` would become `Gi`.
    described = json.loads(raw.to_str())
    described["added_tokens"] = [token for token in described["added_tokens"] if token["content"] not in BYTES]
    plain, named = Tokenizer.from_str(json.dumps(described)), {"bos_token": BEGIN, "eos_token": END, "pad_token": PAD}
    return PreTrainedTokenizerFast(tokenizer_object=plain, clean_up_tokenization_spaces=False, **named)


def make_tiny(texts: Iterable[str], config: TinyConfig, output: Path) -> None:
    """Saves a tokenizer trained on `texts` and a model with random weights as a folder."""
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
                tie_word_embeddings=config.tied,
                **{name: getattr(tokenizer, name) for name in SPECIAL},
            )
        )
        model.get_input_embeddings().weight.data.normal_(0.0, config.embedding_std)
        for layer in model.model.layers:
            for projection in (layer.self_attn.o_proj, layer.mlp.down_proj):
                projection.weight.data.normal_(0.0, config.residual_std)
    save(model, tokenizer, output)
