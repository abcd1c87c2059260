"""What training is predicted to take is what it takes; and what is chosen from that fits."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.utils import DistributedType
from transformers import GPT2Config, LlamaConfig, LlamaForCausalLM

from qalign.errors import ModelError
from qalign.placement import Placement
from qalign.training import launch, memory
from qalign.training.config import TrainingConfig
from qalign.training.memory import FEWEST, MOST, ON_CPU, Memory, Shape, Workload, choose, predict, settle, shape_of

GIB = 2**30
LLAMA_2_7B = Shape(hidden=4096, inner=11008, blocks=32, vocabulary=32000)
PARAMETERS_7B = 6_738_415_616
H200 = [
    (1024, True, False, 117.6), (2048, True, False, 121.8), (4096, True, False, 130.5), (3584, True, False, 128.5),
    (1024, False, False, 120.2), (2048, False, False, 127.1), (3072, False, False, 133.9),
    (8192, True, True, 106.2), (16384, True, True, 111.1),
]  # fmt: skip
"""Peaks in GiB that torch reported on an H200 (2026-11-26): tokens at once, compiled, activations computed again."""


@pytest.mark.parametrize(("tokens", "compiled", "checkpointing", "peak"), H200)
def test_peaks_measured_for_7b(tokens: int, compiled: bool, checkpointing: bool, peak: float) -> None:
    work = Workload(parameters=PARAMETERS_7B, trained=PARAMETERS_7B, precision="bfloat16")
    found = predict(LLAMA_2_7B, work, compiled=compiled, checkpointing=checkpointing)
    assert found.at(tokens) / GIB == pytest.approx(peak, rel=0.03)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("hidden", "inner"), [(128, 352), (128, 128), (256, 1280)])
def test_what_autograd_keeps_grows_as_predicted(hidden: int, inner: int, precision: Any) -> None:
    """The bytes that two more blocks keep per token, counted as autograd packs them."""

    def kept(blocks: int) -> float:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=64, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=blocks,
            num_attention_heads=4, num_key_value_heads=4,
        )  # fmt: skip
        model = LlamaForCausalLM(config)
        own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        storages: dict[int, Any] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own and tensor.numel() and not _copy_of_a_weight(tensor, hidden, inner):
                storages[storage.data_ptr()] = storage
            return tensor

        ids = torch.randint(0, 64, (4, 100))
        cast = torch.autocast("cpu", torch.bfloat16) if precision == "bfloat16" else nullcontext()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), cast:
            model(input_ids=ids, use_cache=False)
        return sum(storage.nbytes() for storage in storages.values()) / ids.numel()

    found = (kept(4) - kept(2)) / 2
    shape = Shape(hidden=hidden, inner=inner, blocks=1, vocabulary=0)
    work = Workload(parameters=0, trained=0, precision=precision)
    predicted = predict(shape, work, compiled=False, checkpointing=False)
    assert predicted.per_token == pytest.approx(found, rel=0.1)


def _copy_of_a_weight(tensor: torch.Tensor, hidden: int, inner: int) -> bool:
    return tensor.dim() == 2 and set(tensor.shape) <= {hidden, inner}


def test_shapes_are_read_from_configs() -> None:
    assert shape_of(LlamaConfig(vocab_size=32000).to_dict()) == LLAMA_2_7B
    assert shape_of(GPT2Config().to_dict()) == Shape(hidden=768, inner=4 * 768, blocks=12, vocabulary=50257)
    assert shape_of({"text_config": LlamaConfig(vocab_size=32000).to_dict()}) == LLAMA_2_7B
    assert shape_of({"model_type": "unheard-of"}) is None


def test_a_large_device_takes_many_tokens_a_small_one_computes_again() -> None:
    whole, checkpointed = Memory(100 * GIB, GIB / 200), Memory(90 * GIB, GIB / 2000)
    assert choose(whole, checkpointed, 1000 * GIB, None) == (MOST, False)
    tokens, again = choose(whole, checkpointed, 120 * GIB, None)
    assert (tokens, again) == (2304, False) and whole.at(tokens) < 120 * GIB
    tokens, again = choose(whole, checkpointed, 105 * GIB, None)
    assert again and tokens >= FEWEST and checkpointed.at(tokens) < 105 * GIB
    assert choose(whole, checkpointed, 120 * GIB, True)[1], "asked for"
    assert choose(whole, checkpointed, 110 * GIB, False) == (256, False), "asked not to"


@pytest.mark.parametrize(("checkpointing", "needed"), [(None, "90.1"), (True, "90.1"), (False, "101.3")])
def test_a_model_that_does_not_fit_is_refused(checkpointing: bool | None, needed: str) -> None:
    with pytest.raises(
        ModelError,
        match=rf"needs {needed} GiB of the device's memory and can have 74\.4 of its 80\.0; train an adapter",
    ):
        choose(Memory(100 * GIB, GIB / 200), Memory(90 * GIB, GIB / 2000), 80 * GIB, checkpointing)


@pytest.mark.parametrize(
    ("free", "given", "expected"),
    [
        (139.28, {}, (3584, False, True)),
        (139.28, {"tokens_per_micro_batch": 1000}, (1000, False, True)),
        (139.28, {"tokens_per_micro_batch": 8192}, (8192, True, True)),
        (139.28, {"tokens_per_micro_batch": 8192, "activation_checkpointing": False}, (8192, False, True)),
        (139.28, {"activation_checkpointing": True}, (MOST, True, True)),
        (139.28, {"compile": False}, (2560, False, False)),
        (115.0, {}, (8960, True, True)),
    ],
)
def test_what_is_left_open_is_settled_on_cuda(
    free: float, given: dict[str, Any], expected: tuple[int, bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_available", lambda accelerator: free * GIB)
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(vocab_size=32000))
    accelerator = SimpleNamespace(device=torch.device("cuda"), distributed_type=DistributedType.NO)
    found = settle(Placement(**given), accelerator, model, TrainingConfig())
    assert (found.tokens_per_micro_batch, found.activation_checkpointing, found.compile) == expected


def test_what_is_left_open_is_settled_on_a_cpu() -> None:
    accelerator = SimpleNamespace(device=torch.device("cpu"), distributed_type=DistributedType.NO)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1)
    )
    found = settle(Placement(), accelerator, model, TrainingConfig())
    assert found == Placement(tokens_per_micro_batch=ON_CPU, activation_checkpointing=False, compile=False)
    given = Placement(tokens_per_micro_batch=77, activation_checkpointing=True, compile=True)
    assert settle(given, accelerator, model, TrainingConfig()) == given


def test_an_adapter_has_the_weights_that_peft_gives_it(base: Path) -> None:
    from qalign.models.opening import load_model
    from qalign.training.config import Adapter
    from qalign.training.trainer import with_adapter

    model = with_adapter(load_model(base, torch.float32), Adapter(rank=4))
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    shape = shape_of(json.loads((base / "config.json").read_text(encoding="utf-8")))
    assert shape is not None
    assert memory.adapter_parameters(shape, 4) == pytest.approx(trained, rel=0.25)  # its keys may be narrower


def test_a_lack_of_memory_is_one_line_with_advice(make_job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "finetune", lambda job: torch.empty(2**60))  # torch's real error
    with pytest.raises(ModelError, match=r"memory ran out; .*--tokens-per-micro-batch.*goes on from here$"):
        launch.launch(make_job())


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_every_kind_of_lack_of_memory_is_known(error: Exception) -> None:
    with pytest.raises(ModelError, match="give less"), memory.out_of_memory_in_one_line("less"):
        raise error


def test_another_fault_of_torch_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="size"), memory.out_of_memory_in_one_line("less"):
        torch.zeros(2) + torch.zeros(3)
