"""Checkpoints in the layouts of the published ones, with tiny random weights: pickles with an index, `[PAD]` as row 32000."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tiny_base import texts

TOKENS = 32_000
"""Those of LLaMA 2 and of Mistral. `[PAD]` comes behind them."""
PAD = "[PAD]"
Special = tuple[str, str, str]
"""Beginning of sequence, end of sequence, unknown."""
USUAL: Special = ("<s>", "</s>", "<unk>")
RFT: Special = ("</s>", "</s>", "</s>")


def write_checkpoint(
    folder: Path, base: Path, *, tokenizer: Literal["slow", "fast"] = "fast", special: Special = USUAL, pad: bool = True,
    files: int = 2, dtype: torch.dtype = torch.float32, config: dict[str, Any] | None = None,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Writes a checkpoint in pickles to a folder, and returns its tensors.

    Args:
        base: where the fast tokenizer is taken from.
        pad: whether there is a row for `[PAD]`.
        config: other values of the LLaMA.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, base, tokenizer, special, pad)
    values = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2} | (
        config or {}
    )
    values = {"vocab_size": TOKENS + pad, "max_position_embeddings": 2048, "tie_word_embeddings": False} | values
    torch.manual_seed(3)
    model = LlamaForCausalLM(LlamaConfig(**values)).to(dtype)
    model.config.save_pretrained(folder)
    described = json.loads((folder / "config.json").read_text("utf-8"))
    described.pop("dtype", None)
    described |= {"architectures": ["LlamaForCausalLM"], "torch_dtype": str(dtype).partition(".")[2]}
    (folder / "config.json").write_text(json.dumps(described), "utf-8")
    tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    if values["tie_word_embeddings"]:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    write_pickles(folder, tensors, files)
    (folder / "training_args.bin").write_bytes(b"a pickle that nobody opens")
    (folder / "README.md").write_text("---\nlicense: llama2\n---\n", "utf-8")
    return tensors


def write_pickles(folder: Path, tensors: dict[str, Any], files: int = 2) -> None:
    """Writes tensors as pickles: one file, or several with an index."""
    if files == 1:
        torch.save(tensors, folder / "pytorch_model.bin")
        return
    places, names = {}, list(tensors)
    size = -(-len(names) // files)
    for number in range(files):
        file, part = f"pytorch_model-{number + 1:05d}-of-{files:05d}.bin", names[number * size : (number + 1) * size]
        torch.save({name: tensors[name] for name in part}, folder / file)
        places |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index), "utf-8")


def write_tokenizer(folder: Path, base: Path, kind: Literal["slow", "fast"], special: Special, pad: bool) -> None:
    """Writes a tokenizer of 32,000 tokens, as a SentencePiece model alone or as `tokenizer.json`."""
    names = dict(zip(("bos_token", "eos_token", "unk_token"), special, strict=True))
    if kind == "slow":
        (folder / "tokenizer.model").write_bytes(sentencepiece_model())
        told = {"content": "", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
        config: dict[str, Any] = {
            name: {"__type": "AddedToken", **told, "content": text} for name, text in names.items()
        }
        config |= {"add_bos_token": True, "add_eos_token": False, "model_max_length": 512, "padding_side": "right"}
        config |= {"pad_token": None, "sp_model_kwargs": {}, "tokenizer_class": "LlamaTokenizer"}
        (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    else:
        described = json.loads((base / "tokenizer.json").read_text("utf-8"))
        vocabulary = described["model"]["vocab"]
        vocabulary |= {chr(0xF0000 + number): len(vocabulary) + number for number in range(TOKENS - len(vocabulary))}
        (folder / "tokenizer.json").write_text(json.dumps(described), "utf-8")
        config = json.loads((base / "tokenizer_config.json").read_text("utf-8"))
        (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
        fast = AutoTokenizer.from_pretrained(folder)
        if pad:
            fast.add_special_tokens({"pad_token": PAD})
        fast.save_pretrained(folder)
        (folder / "chat_template.jinja").unlink(missing_ok=True)
        return
    if pad:
        (folder / "added_tokens.json").write_text(json.dumps({PAD: TOKENS}), "utf-8")
        names["pad_token"] = PAD
    (folder / "special_tokens_map.json").write_text(json.dumps(names), "utf-8")


def sentencepiece_model() -> bytes:
    """A SentencePiece BPE of 32,000 pieces with byte fallback, as LLaMA's. Most pieces are characters that no text has."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in texts() for line in text.split("\n") if line]), model_writer=made,
        vocab_size=600, model_type="bpe", byte_fallback=True, split_digits=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, character_coverage=1.0, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    model = sentencepiece_model_pb2.ModelProto.FromString(made.getvalue())
    for number in range(TOKENS - len(model.pieces)):
        model.pieces.add(piece=chr(0xF0000 + number), score=-1e6 - number)
    return bytes(model.SerializeToString())
