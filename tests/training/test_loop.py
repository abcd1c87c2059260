"""Training for real, tiny: losses, what is written down, adapters, and going on after an interruption."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from qalign.errors import DataError, ModelError
from qalign.models.opening import check_model, load_tokenizer
from qalign.models.tiny import TinyConfig, make_tiny
from qalign.progress import Bar
from qalign.records import Example
from qalign.training import Adapter, TrainingConfig, loop, trainer
from qalign.training.accelerator import make_accelerator, reset
from qalign.training.batches import GlobalBatches
from qalign.training.checkpoints import Checkpoints
from qalign.training.launch import launch
from qalign.training.loop import Job
from qalign.training.tokens import tokenize
from qalign.training.trainer import learning_rate_factor

GOLDEN = Path(__file__).with_name("golden_losses.json")
ADAPTER = Adapter(rank=4, alpha=8.0, dropout=0.0)


def metrics(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job.output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def losses(job: Job) -> list[float]:
    return [row["loss"] for row in metrics(job)]


def timeless(job: Job) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "tokens_per_second"} for row in metrics(job)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


# --- what a run leaves ------------------------------------------------------------------------------------------------


def test_losses_are_the_golden_ones(make_job: Any) -> None:
    """The first 12 losses, so that a refactoring changes no number.

    Where a number is meant to change, write the file anew and say why in the commit:

        QALIGN_WRITE_GOLDEN=1 python -m pytest tests/training/test_loop.py -k golden
    """
    job = make_job(max_steps=12)
    launch(job)
    if os.environ.get("QALIGN_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps([round(loss, 5) for loss in losses(job)]) + "\n", encoding="utf-8")
    assert losses(job) == pytest.approx(json.loads(GOLDEN.read_text(encoding="utf-8")), abs=1e-3)


def test_the_loss_falls_and_the_figures_are_right(make_job: Any, base: Path, examples: list[Example]) -> None:
    job = make_job(epochs=2, global_batch_size=16)
    launch(job)
    data = tokenize(examples, load_tokenizer(base), job.config)
    batches = GlobalBatches(len(data), job.config)
    rows = metrics(job)
    assert [row["step"] for row in rows] == list(range(1, 21))
    tokens = supervised = 0
    for step, row in enumerate(rows):
        tokens += sum(data.lengths[i] for i in batches[step])
        supervised += sum(data.supervised[i] for i in batches[step])
        assert (row["tokens"], row["supervised"]) == (tokens, supervised)
        assert row["step_tokens"] == sum(data.lengths[i] for i in batches[step])
        assert row["gradient_norm"] > 0 and row["tokens_per_second"] > 0
    summary = json.loads((job.output / "training.json").read_text(encoding="utf-8"))
    assert summary["steps"] == 20 and summary["examples"] == 150
    assert summary["tokens"] == 2 * sum(data.lengths) == 2 * sum(summary["tokens_by_language"].values())
    assert summary["supervised_tokens"] == 2 * sum(data.supervised)
    assert summary["examples_by_language"] == Counter(example.language for example in examples)
    assert summary["first_loss"] == pytest.approx(sum(losses(job)[:5]) / 5, abs=1e-4)
    assert summary["last_loss"] == pytest.approx(sum(losses(job)[-5:]) / 5, abs=1e-4)
    assert summary["last_loss"] < summary["first_loss"] - 1
    assert summary["config"]["learning_rate"] == job.config.learning_rate and summary["too_long"] == {}


def test_the_seed_decides(make_job: Any) -> None:
    runs = {where: make_job(where, max_steps=3, seed=seed) for where, seed in (("a", 1), ("b", 1), ("c", 2))}
    for job in runs.values():
        launch(job)
    assert timeless(runs["a"]) == timeless(runs["b"]) != timeless(runs["c"])


def test_an_example_that_is_too_long_stops_the_run_before_it_trains(make_job: Any) -> None:
    job = make_job(max_length=120)
    with pytest.raises(DataError, match="longer than max_length=120"):
        launch(job)
    assert not job.output.exists()


def test_placement_changes_no_loss(make_job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the token budget nor activation checkpointing (which is seen to be used)."""
    used = Counter[str]()
    original = transformers.modeling_utils.checkpoint

    def counted(*arguments: Any, **options: Any) -> Any:
        used["checkpoint"] += 1
        return original(*arguments, **options)

    monkeypatch.setattr(transformers.modeling_utils, "checkpoint", counted)
    plain = make_job("plain", max_steps=6)
    launch(plain)
    assert not used
    for where, placement in (
        ("small", {"tokens_per_micro_batch": 300}),
        ("spared", {"activation_checkpointing": True}),
        ("chosen", {"tokens_per_micro_batch": None}),
    ):
        job = make_job(where, placement, max_steps=6)
        launch(job)
        assert losses(job) == pytest.approx(losses(plain), abs=1e-4)
    assert used


def test_blocks_are_compiled_where_it_is_asked_for(make_job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(trainer, "compile_blocks", lambda model, device: asked.append(device.type))
    launch(make_job("plain", max_steps=1))
    assert not asked
    launch(make_job("compiled", {"compile": True}, max_steps=1))
    assert asked == ["cpu"]


# --- the schedule and precision ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "ratio"), [(1, 0.03), (7, 0.0), (20, 0.03), (99, 0.1), (100, 0.03), (1000, 0.5)])
def test_the_schedule_is_that_of_transformers(steps: int, ratio: float) -> None:
    peak = 2e-5
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    warmup = transformers.TrainingArguments(output_dir="unused", warmup_steps=ratio, use_cpu=True).get_warmup_steps(
        steps
    )
    theirs = transformers.get_cosine_schedule_with_warmup(optimizer, warmup, steps)
    config = TrainingConfig(warmup_ratio=ratio)
    for step in range(steps):
        assert peak * learning_rate_factor(step, steps, config) == pytest.approx(theirs.get_last_lr()[0], abs=1e-18)
        optimizer.step()
        theirs.step()


def test_the_schedule_is_used(make_job: Any) -> None:
    job = make_job(max_steps=12, warmup_ratio=0.25)
    launch(job)
    expected = [job.config.learning_rate * learning_rate_factor(step, 12, job.config) for step in range(12)]
    assert [row["learning_rate"] for row in metrics(job)] == pytest.approx(expected)
    assert expected[0] == 0 and max(expected) == expected[3] == job.config.learning_rate


def test_bfloat16_is_near_float32_and_keeps_float32_weights(make_job: Any) -> None:
    exact = make_job("exact", max_steps=20)
    rounded = make_job(
        "rounded", {"seconds_per_checkpoint": 0.0}, max_steps=20, precision="bfloat16", save_precision="float32"
    )
    launch(exact)
    launch(rounded)
    assert losses(rounded) == pytest.approx(losses(exact), abs=0.05)
    assert losses(rounded) != pytest.approx(losses(exact), abs=1e-6), "bfloat16 was not used"
    checkpoint = max(rounded.scratch.glob("step-*"))
    for folder in (rounded.output, checkpoint):
        assert {tensor.dtype for tensor in weights(folder).values()} == {torch.float32}
        assert any((tensor != tensor.bfloat16()).any() for tensor in weights(folder).values())


def test_the_next_stage_of_a_process_chooses_its_device(make_job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job()

    def device() -> str:
        return str(make_accelerator(job.config, job.placement).device)

    assert device() == "cpu"
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "meta")  # stands for one that is not here
    assert device() == "meta"
    reset()


# --- adapters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("checkpointing", [False, True])
def test_an_adapter_alone_is_trained_and_merged(make_job: Any, base: Path, checkpointing: bool) -> None:
    placement = {"activation_checkpointing": checkpointing}
    job = make_job("adapter", placement, adapter=ADAPTER, max_steps=12, learning_rate=2e-2)
    launch(job)
    assert losses(job)[-1] < losses(job)[0] - 0.1
    before, after = weights(base), weights(job.output)
    assert before.keys() == after.keys()
    for name, tensor in after.items():
        if "_proj" not in name:
            assert torch.equal(tensor, before[name]), f"{name} was trained, though only the adapter should be"
            continue
        change = tensor - before[name]
        assert change.norm() > 0, f"{name} was not trained"
        sizes = torch.linalg.svdvals(change)
        assert sizes[ADAPTER.rank :].max() < 1e-4 * sizes[0], f"{name} changed by more than rank {ADAPTER.rank}"
    assert [path.name for path in job.output.glob("adapter*")] == ["adapter"], "the folder is a whole model's"
    opened = transformers.AutoModelForCausalLM.from_pretrained(job.output)
    assert type(opened).__name__ == "LlamaForCausalLM"


def test_the_adapter_that_is_kept_is_the_one_that_was_merged(make_job: Any, base: Path) -> None:
    job = make_job("kept", adapter=ADAPTER, max_steps=3, learning_rate=2e-2)
    launch(job)
    kept = job.output / "adapter"
    assert sorted(path.name for path in kept.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert json.loads((kept / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    merged = peft.AutoPeftModelForCausalLM.from_pretrained(kept).merge_and_unload().state_dict()
    for name, tensor in weights(job.output).items():
        torch.testing.assert_close(merged[name], tensor, msg=name)
    check_model(job.output)
    with pytest.raises(ModelError, match="holds an adapter"):
        check_model(kept)
    half = make_job("half", adapter=ADAPTER, max_steps=1, save_precision="bfloat16")
    launch(half)
    saved = load_file(half.output / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}


def test_an_adapter_on_named_modules(make_job: Any, base: Path) -> None:
    job = make_job(adapter=Adapter(rank=2, dropout=0.0, modules=("q_proj", "v_proj")), max_steps=3)
    launch(job)
    before, after = weights(base), weights(job.output)
    changed = {name.split(".")[-2] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"q_proj", "v_proj"}


def test_moments_of_eight_bits_learn_nearly_the_same(
    make_job: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, examples: list[Example]
) -> None:
    """Also after a resume. They are used for weights of 4,096 numbers and more; torchao's step is not compiled here."""
    subclass = pytest.importorskip("torchao.optim.subclass_8bit", reason="the extra '8bit' is not installed")
    wider = TinyConfig(
        vocabulary=400, hidden_size=64, intermediate_size=128, layers=2, heads=2, max_positions=1024, seed=1
    )
    make_tiny([example.response for example in examples], wider, tmp_path / "wider")
    kept = set[type]()
    step = torch.optim.Optimizer.zero_grad

    def looked_at(self: Any, *arguments: Any, **options: Any) -> None:
        kept.update(type(state["exp_avg"]) for state in getattr(self, "state", {}).values() if "exp_avg" in state)
        step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.Optimizer, "zero_grad", looked_at)
    whole, spared, again = (
        dataclasses.replace(
            make_job(where, {"seconds_per_checkpoint": 0.0}, max_steps=24, max_length=700, optimizer=optimizer),
            model=tmp_path / "wider",
        )
        for where, optimizer in (("whole", "adamw"), ("spared", "adamw8bit"), ("again", "adamw8bit"))
    )
    launch(whole)
    assert subclass.OptimState8bit not in kept
    with torch.compiler.set_stance("force_eager"):
        launch(spared)
        assert subclass.OptimState8bit in kept
        interrupt(again, 2, monkeypatch)
        assert list(again.scratch.glob("step-*"))
        launch(again)
    assert losses(spared) != losses(whole)
    assert losses(spared) == pytest.approx(losses(whole), rel=0.02)
    # A last bit that differs can round a moment to the next of 256 values.
    assert losses(again) == pytest.approx(losses(spared), rel=1e-3)


# --- interruption -----------------------------------------------------------------------------------------------------


class Interrupted(Exception):
    """Stands for the power cut."""


def interrupt(job: Job, reports: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains until so many reports (of ten steps each) are written and shown, and breaks off."""
    advance = Bar.advance
    seen = Counter[str]()

    def breaks(bar: Bar, amount: int, text: str = "") -> None:
        advance(bar, amount, text)
        seen["reports"] += text.startswith("loss")
        if seen["reports"] == reports:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(Bar, "advance", breaks)
        with pytest.raises(Interrupted):
            launch(job)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({}, id="full"),
        pytest.param(
            {"adapter": Adapter(rank=4, dropout=0.3), "precision": "bfloat16"},
            id="dropout-and-bfloat16",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_interrupted_run_ends_with_the_same_weights(
    make_job: Any, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    """Broken off at the end of 30 steps, after checkpoints at 10 and 20, with what a kill leaves lying about."""
    config = {"epochs": 3, **config}
    undisturbed = make_job("undisturbed", **config)
    disturbed = make_job("disturbed", {"seconds_per_checkpoint": 0.0}, **config)
    launch(undisturbed)
    interrupt(disturbed, 3, monkeypatch)
    assert sorted(path.name for path in disturbed.scratch.glob("step-*")) == ["step-000000010", "step-000000020"]
    assert len((disturbed.scratch / "metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 30
    with (disturbed.scratch / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 31, "lo')  # a torn line
    building = disturbed.scratch / "building"
    building.mkdir()
    (building / "model.safetensors").write_bytes(b"torn")
    reported = disturbed.scratch / "metrics.jsonl"
    rows_at_start = []
    resume = Checkpoints.resume

    def watched(checkpoints: Checkpoints) -> None:
        resume(checkpoints)
        step = checkpoints.trainer.progress.step
        rows_at_start.append((step, len(reported.read_text(encoding="utf-8").splitlines())))

    monkeypatch.setattr(Checkpoints, "resume", watched)
    launch(disturbed)
    assert rows_at_start == [(20, 20)], "it goes on from the checkpoint, and what came after it is forgotten"
    assert timeless(disturbed) == timeless(undisturbed)
    name = "model.safetensors"
    assert (disturbed.output / name).read_bytes() == (undisturbed.output / name).read_bytes()
    summaries = [json.loads((job.output / "training.json").read_text()) for job in (disturbed, undisturbed)]
    assert summaries[0] == summaries[1]


def test_examples_are_tokenised_once(make_job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    launch(make_job(max_steps=3))

    def again(*_: object) -> None:
        raise AssertionError("a run that goes on tokenises nothing")

    monkeypatch.setattr(loop, "tokenize", again)
    resumed = make_job(max_steps=3)
    shutil.rmtree(resumed.output)
    launch(resumed)
    assert len(losses(resumed)) == 3


def test_dropout_is_in_use(make_job: Any) -> None:
    """Without it the random state would not matter, and the test above would show nothing."""
    with_dropout = make_job("with", adapter=Adapter(rank=4, dropout=0.3), max_steps=8)
    without = make_job("without", adapter=Adapter(rank=4, dropout=0.0), max_steps=8)
    launch(with_dropout)
    launch(without)
    assert losses(with_dropout) != pytest.approx(losses(without), abs=1e-6)


def test_a_training_that_diverges_is_an_error_and_no_result(make_job: Any, base: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    shutil.copytree(base, large)
    weights = load_file(large / "model.safetensors")
    save_file({name: tensor * 1e30 for name, tensor in weights.items()}, large / "model.safetensors", {"format": "pt"})
    job = dataclasses.replace(make_job(max_steps=12), model=large)
    with pytest.raises(ModelError, match=r"diverged at step \d+ .*(nan|inf).*learning_rate"):
        launch(job)
    assert not (job.output / "model.safetensors").exists()


def test_examples_beyond_the_positions_of_the_model_are_an_error(make_job: Any, base: Path, tmp_path: Path) -> None:
    short = tmp_path / "short"
    shutil.copytree(base, short)
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 16}))
    job = make_job(max_steps=1)
    with pytest.raises(ModelError, match="the model has 16 positions"):
        launch(dataclasses.replace(job, model=short))
