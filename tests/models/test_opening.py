"""A base is looked at before it is used: what would fail hours later, or in silence, is refused in one line."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from qalign.errors import ModelError
from qalign.models.folders import check_finite, check_folder
from qalign.models.opening import check_model, check_vocabulary, load_model


@pytest.fixture
def copied(base: Path, tmp_path: Path) -> Path:
    """A copy of the base, to be spoilt."""
    return Path(shutil.copytree(base, tmp_path / "copied"))


def change(path: Path, **values: Any) -> None:
    """Sets keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


# --- ids --------------------------------------------------------------------------------------------------------------


def test_a_token_without_an_embedding_is_refused(base: Path, copied: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokens = len(tokenizer)
    tokenizer.add_tokens(["apples"])
    tokenizer.save_pretrained(copied)
    with pytest.raises(ModelError, match=rf"1 token beyond the model's {tokens} embeddings, 'apples' with id {tokens}"):
        check_vocabulary(copied)
    check_vocabulary(base)


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("ids", [100_000, [2, 999], -1, "2"])
def test_an_end_beyond_the_vocabulary_is_refused(copied: Path, file: str, ids: Any) -> None:
    change(copied / file, eos_token_id=ids)
    with pytest.raises(ModelError, match=rf"{file} "):
        check_vocabulary(copied)


# --- what is adopted, or used as a base ----------------------------------------------------------------------------------

Spoil = Callable[[Path], None]


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def cut_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:300])


def malformed_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"F99"', 1))


def weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def without_a_tensor(folder: Path) -> None:
    weights(folder, lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"))  # type: ignore[arg-type,return-value]


def another_tensor(folder: Path) -> None:
    weights(folder, lambda tensors: tensors.update({"v_head.weight": torch.ones(3)}))


def another_shape(folder: Path) -> None:
    weights(folder, lambda tensors: tensors.update({"model.norm.weight": torch.ones(7)}))


def nan(folder: Path) -> None:
    weights(folder, lambda tensors: tensors["model.norm.weight"][3:4].fill_(math.nan) and None)


def infinite(folder: Path) -> None:
    weights(folder, lambda tensors: tensors["model.layers.0.mlp.down_proj.weight"][1:2, 2:3].fill_(-math.inf) and None)


def in_parts(folder: Path) -> Path:
    """The same weights in two files with an index; returns the index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    places = {}
    for part in (0, 1):
        file = f"model-{part + 1:05d}-of-00002.safetensors"
        save_file({name: tensors[name] for name in names[part::2]}, folder / file, {"format": "pt"})
        places.update(dict.fromkeys(names[part::2], file))
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}), encoding="utf-8")
    return index


def without_a_part(folder: Path) -> None:
    in_parts(folder).with_name("model-00002-of-00002.safetensors").unlink()


def an_index_that_leads_elsewhere(folder: Path) -> None:
    index = in_parts(folder)
    index.write_text(index.read_text("utf-8").replace("model-00002", f"../{folder.name}/model-00002"), "utf-8")


def an_index_of_other_tensors(folder: Path) -> None:
    index = in_parts(folder)
    index.write_text(index.read_text("utf-8").replace("model.norm.weight", "model.norm.scale"), "utf-8")


def an_index_that_maps_nothing(folder: Path) -> None:
    in_parts(folder).write_text('{"weight_map": []}', "utf-8")


def weights_of_another_name(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "consolidated.safetensors")


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}', "utf-8")
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")


def text(name: str, content: str) -> Spoil:
    return lambda folder: (folder / name).write_text(content, "utf-8") and None


def values(**changed: Any) -> Spoil:
    return lambda folder: change(folder / "config.json", **changed)


def twice(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text("utf-8").replace("{", '{"hidden_size": 64,', 1), "utf-8")


AT_ONCE: dict[str, tuple[Spoil, str]] = {
    "cut": (cut, "is not a whole safetensors file"),
    "cut header": (cut_header, "is not a whole safetensors file"),
    "empty": (text("model.safetensors", ""), "is not a whole safetensors file"),
    "no tensor format": (text("model.safetensors", "version https://git-lfs"), "is not a whole safetensors file"),
    "malformed header": (malformed_header, "is not a whole safetensors file"),
    "without a part": (without_a_part, "names model-00002-of-00002.safetensors, which is not there"),
    "index elsewhere": (an_index_that_leads_elsewhere, "which is not there"),
    "index of others": (an_index_of_other_tensors, "lacks 1 tensor that model.safetensors.index.json names"),
    "index of nothing": (an_index_that_maps_nothing, "has no weight_map"),
    "another name": (weights_of_another_name, "has neither model.safetensors nor"),
    "pickled": (pickled, "has no weights as .safetensors"),
    "adapter": (adapter, r"holds an adapter \(adapter_config.json\), not a model; merge it first"),
    "no JSON": (text("config.json", "{"), "config.json is not valid JSON"),
    "a list": (text("config.json", "[]"), "config.json holds no JSON object"),
    "deep": (text("config.json", '{"a": ' + "[" * 5000 + "]" * 5000 + "}"), "nested deeper"),
    "twice": (twice, "the key 'hidden_size' appears twice"),
    "generation config": (text("generation_config.json", "nothing"), "generation_config.json is not valid JSON"),
}
"""Found by names and headers alone."""

WHEN_OPENED: dict[str, tuple[Spoil, str]] = {
    "without a tensor": (without_a_tensor, "lacks 1 weight, model.layers.1.mlp.up_proj.weight among them"),
    "another tensor": (another_tensor, "has 1 weight that its architecture does not read, v_head.weight"),
    "another shape": (another_shape, "cannot be opened as a causal model"),
    "NaN": (nan, "hold NaN or an infinite number, in model.norm.weight"),
    "infinite": (infinite, "hold NaN or an infinite number, in model.layers.0.mlp.down_proj.weight"),
    "no causal model": (values(architectures=["LlamaForSequenceClassification"]), "is not a causal language model"),
    "encoder": (values(architectures=["BertForMaskedLM"], model_type="bert"), "is not a causal language model"),
    "unknown kind": (values(model_type="no-such-kind"), "cannot be opened"),
    "remote code": (
        values(model_type="mine", auto_map={"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"}),
        "cannot be opened",
    ),
    "wrong type": (values(hidden_size="wide"), "cannot be opened"),
    "more layers": (values(num_hidden_layers=3), "lacks 9 weights"),
}

OF_THE_TOKENIZER: dict[str, tuple[Spoil, str]] = {
    "no tokenizer": (text("tokenizer.json", "{"), "the tokenizer in .* cannot be opened"),
    "template": (text("chat_template.jinja", "{% for %}"), "chat template in .* cannot be parsed"),
    "odd template": (text("chat_template.jinja", "{{ ''.__class__.__mro__ }}"), "reaches for __class__"),
}


@pytest.mark.parametrize("spoil", [*AT_ONCE])
def test_a_folder_that_is_not_whole_is_refused_by_its_headers(copied: Path, spoil: str) -> None:
    spoiled, says = AT_ONCE[spoil]
    check_folder(copied)
    spoiled(copied)
    for check in (check_folder, check_model):
        with pytest.raises(ModelError, match=says) as raised:
            check(copied)
        assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("spoil", [*WHEN_OPENED, *OF_THE_TOKENIZER])
def test_a_model_that_is_not_what_its_folder_says_is_refused(copied: Path, spoil: str) -> None:
    spoiled, says = {**WHEN_OPENED, **OF_THE_TOKENIZER}[spoil]
    check_model(copied)
    spoiled(copied)
    with pytest.raises(ModelError, match=says) as raised:
        check_model(copied)
    assert len(str(raised.value).splitlines()) == 1
    if spoil in WHEN_OPENED:
        with pytest.raises(ModelError, match=says):
            load_model(copied, torch.float32)


def test_tensors_that_older_versions_saved_beside_the_weights_are_fine(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    weights["model.layers.0.attention.masked_bias"] = torch.tensor(-1e4)
    weights["model.layers.0.attention.bias"] = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    check_model(copied)
    load_model(copied, torch.float32)


def test_weights_stored_as_whole_numbers_are_refused(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    name = next(name for name in weights if name.endswith("q_proj.weight"))
    save_file({**weights, name: weights[name].to(torch.int32)}, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weight as whole numbers \(I32\), .*q_proj.weight"):
        check_folder(copied)


@pytest.mark.parametrize("named", [[{}], {"a": 1}, "LlamaForCausalLM", [3]])
def test_architectures_of_another_form_are_refused(copied: Path, named: Any) -> None:
    change(copied / "config.json", architectures=named)
    with pytest.raises(ModelError):
        load_model(copied, torch.float32)


def test_a_refusal_comes_without_a_report_of_the_library(copied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = load_file(copied / "model.safetensors")
    save_file({**weights, "extra.weight": torch.ones(2)}, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="architecture does not read"):
        load_model(copied, torch.float32)
    assert capfd.readouterr() == ("", "")


def test_weights_in_parts_and_an_infinite_setting_are_fine(copied: Path) -> None:
    in_parts(copied)
    path = copied / "config.json"
    path.write_text(path.read_text("utf-8").replace("{", '{"time_step_limit": [0.0, Infinity],', 1), "utf-8")
    check_model(copied)
    load_model(copied, torch.bfloat16)


def test_large_half_precision_weights_are_finite(tmp_path: Path) -> None:
    """Their sum is not."""
    tensor = torch.full((100,), 60_000.0, dtype=torch.float16)
    assert not tensor.sum().isfinite()
    check_finite("x", tensor, tmp_path)
