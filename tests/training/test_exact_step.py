"""The arithmetic of a step does not depend on how it is cut: one micro-batch, many, several processes, or a flat loop."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch._dynamo
from accelerate import Accelerator
from safetensors.torch import load_file

from qalign.errors import ModelError, SettingError
from qalign.models.opening import load_model, load_tokenizer
from qalign.placement import Placement
from qalign.records import Example
from qalign.training import batches, prefix
from qalign.training.accelerator import compile_blocks, reset
from qalign.training.batches import Batch, collate
from qalign.training.config import TrainingConfig
from qalign.training.launch import job_to_json, launch
from qalign.training.loop import Job
from qalign.training.loss import SupervisedLoss
from qalign.training.tokens import tokenize
from qalign.training.trainer import Trainer

TOLERANCE = 1e-5
"""Relative to the norm of a parameter's gradient. Float32 keeps 6e-8; sums over some thousand tokens in another order
differ by some ten times that, and a token too many or too few in 128 examples by a thousand times."""

WEIGHT_TOLERANCE = 1e-3
"""Relative to the norm of a weight, after some steps. Adam divides by the gradient's own size, so what is rounding in a
gradient near zero becomes a part of a step."""

STEP = 128
WHOLE, ALONE = 10**9, 1

Gradients = tuple[float, dict[str, torch.Tensor]]


@pytest.fixture
def accelerator() -> Accelerator:
    reset()
    return Accelerator(cpu=True)


def ours(
    accelerator: Accelerator, base: Path, examples: Sequence[Example], budget: int, *, shared: bool = False
) -> Gradients:
    """Loss and gradients of one step over `examples` as the package computes them."""
    config = TrainingConfig()
    data = tokenize(examples, load_tokenizer(base), config)
    model = load_model(base, torch.float32)
    placement = Placement(tokens_per_micro_batch=budget)
    trainer = Trainer(model, config, placement, accelerator, data if shared else None)
    assert (data.shared >= prefix.FEWEST) == shared
    summed = trainer.backward(Batch(data, range(len(data))))
    return float(summed) / sum(data.supervised), gradients_of(model)


def flat(flat_loop: ModuleType, base: Path, examples: Sequence[Example], micro_batch_size: int) -> Gradients:
    """The same by the flat loop: padded, masked, with all logits."""
    tokenizer = load_tokenizer(base)
    model = load_model(base, torch.float32)
    tokens = [flat_loop.tokenize(tokenizer, example.instruction, example.response) for example in examples]
    return flat_loop.batch_loss_and_gradients(model, tokens, micro_batch_size), gradients_of(model)


def gradients_of(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def assert_same(found: Gradients, expected: Gradients) -> None:
    assert found[0] == pytest.approx(expected[0], rel=TOLERANCE)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        difference = (found[1][name] - gradient).norm() / gradient.norm()
        assert difference < TOLERANCE, f"{name} differs by {difference:.1e}"


@pytest.fixture(scope="module")
def expected(flat_loop: ModuleType, base: Path, examples: list[Example]) -> Gradients:
    return flat(flat_loop, base, examples[:STEP], micro_batch_size=STEP)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("budget", [WHOLE, 16384, 4096, 1000, ALONE])
def test_token_budgets_change_nothing(
    budget: int, shared: bool, expected: Gradients, accelerator: Accelerator, base: Path, examples: list[Example]
) -> None:
    assert_same(ours(accelerator, base, examples[:STEP], budget, shared=shared), expected)


def test_a_shared_prefix_makes_micro_batches_smaller(base: Path, examples: list[Example]) -> None:
    data = tokenize(examples[:STEP], load_tokenizer(base), TrainingConfig())
    apart = collate(Batch(data, range(8)))
    data.shared = data.common_prefix
    together = collate(Batch(data, range(8)))
    assert apart.ids.numel() - together.ids.numel() == 7 * data.shared > 0
    assert torch.equal(apart.targets, together.targets)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_activations_computed_again_change_nothing(
    shared: bool,
    compiled: bool,
    expected: Gradients,
    accelerator: Accelerator,
    base: Path,
    examples: list[Example],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = load_model

    def again(folder: Path, dtype: torch.dtype) -> Any:
        model = plain(folder, dtype)
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.train()
        if compiled:
            compile_blocks(model, torch.device("cpu"))
        return model

    torch._dynamo.reset()
    monkeypatch.setattr(f"{__name__}.load_model", again)
    assert_same(ours(accelerator, base, examples[:STEP], 4096, shared=shared), expected)


@pytest.mark.parametrize("shared", [False, True])
def test_compiled_blocks_change_nothing(
    shared: bool,
    expected: Gradients,
    accelerator: Accelerator,
    base: Path,
    examples: list[Example],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each block is seen to run compiled, at several shapes."""

    plain = load_model

    def compiled(folder: Path, dtype: torch.dtype) -> Any:
        model = plain(folder, dtype)
        compile_blocks(model, torch.device("cpu"))
        assert all(layer._compiled_call_impl is not None for layer in model.model.layers)
        return model

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(f"{__name__}.load_model", compiled)
    assert_same(ours(accelerator, base, examples[:STEP], 4096, shared=shared), expected)
    assert 2 <= torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 6, (
        "one graph for all blocks, some by kind of shape"
    )


def test_where_nothing_can_be_compiled_a_run_says_so(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(function: Any) -> Any:
        raise RuntimeError("no C++ compiler\nand more")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(
        SettingError, match=r"torch\.compile does not work on cpu here \(no C\+\+ compiler\); .* --no-compile"
    ):
        compile_blocks(load_model(base, torch.float32), torch.device("cpu"))


@pytest.mark.parametrize("rows", [8, 48])
def test_fixed_micro_batches_change_nothing(
    rows: int, expected: Gradients, accelerator: Accelerator, base: Path, examples: list[Example],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """16 x 8, and uneven ones, in the order drawn: rows of very different lengths stand together."""

    def fixed(
        indices: Sequence[int], lengths: object, budget: object, ranks: int, shared: int
    ) -> list[list[list[int]]]:
        return [[list(indices[start : start + rows]) for start in range(0, len(indices), rows)]]

    monkeypatch.setattr(batches, "micro_batches", fixed)
    assert_same(ours(accelerator, base, examples[:STEP], 1), expected)


def test_the_flat_loop_agrees_with_itself(
    expected: Gradients, flat_loop: ModuleType, base: Path, examples: list[Example]
) -> None:
    assert_same(flat(flat_loop, base, examples[:STEP], micro_batch_size=8), expected)


def test_a_mean_of_means_would_be_noticed(flat_loop: ModuleType, base: Path, examples: list[Example]) -> None:
    """What ordinary accumulation computes, the mean over micro-batches of their means, is another number here."""
    tokens = [flat_loop.tokenize(load_tokenizer(base), e.instruction, e.response) for e in examples[:STEP]]
    model = load_model(base, torch.float32)
    # Two at a time, as the published code trains.
    means = [flat_loop.batch_loss_and_gradients(model, tokens[start : start + 2], 2) for start in range(0, STEP, 2)]
    whole = flat_loop.batch_loss_and_gradients(model, tokens, STEP)
    assert abs(sum(means) / len(means) - whole) > 20 * TOLERANCE * whole


def test_positions_after_the_hook_is_removed(base: Path) -> None:
    """The head projects supervised positions during a loss, and every position otherwise."""
    model = load_model(base, torch.float32)
    loss = SupervisedLoss(model)
    ids = torch.randint(3, 400, (2, 7))
    assert model(input_ids=ids).logits.shape[:2] == (2, 7)
    loss.remove()
    assert not model.get_output_embeddings()._forward_pre_hooks


# --- two processes ----------------------------------------------------------------------------------------------------

CASES = [
    (size, budget, shared)
    for size, budget in ((STEP, 1000), (STEP, WHOLE), (9, ALONE), (3, 4096), (1, 4096))
    for shared in (False, True)
]
"""Examples, budget, and whether what they begin with is read once; the last have an example for the first process only, those
before them an uneven share."""


@pytest.mark.slow
def test_two_processes_change_nothing(
    flat_loop: ModuleType, base: Path, data: Path, examples: list[Example], tmp_path: Path
) -> None:
    script = Path(__file__).with_name("two_processes.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    arguments = [str(base), str(data / "examples.jsonl"), str(tmp_path), json.dumps(CASES)]
    subprocess.run([*command, *arguments], check=True, timeout=300)
    for place, (size, *_) in enumerate(CASES):
        found = torch.load(tmp_path / f"{place}.pt", weights_only=True)
        assert found.pop("processes") == 2
        loss = float(found.pop("loss"))
        assert_same((loss, found), flat(flat_loop, base, examples[:size], micro_batch_size=8))


def metrics(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def assert_close_runs(found: Path, expected: Path) -> None:
    assert [row["step"] for row in metrics(found)] == [row["step"] for row in metrics(expected)]
    for ours, theirs in zip(metrics(found), metrics(expected), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-3)
        assert ours["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=1e-2)
        assert [ours[key] for key in ("tokens", "supervised", "learning_rate")] == [
            theirs[key] for key in ("tokens", "supervised", "learning_rate")
        ]
    assert_close_weights(found, expected)


def assert_close_weights(found: Path, expected: Path) -> None:
    weights = load_file(found / "model.safetensors")
    for name, weight in load_file(expected / "model.safetensors").items():
        difference = (weights[name] - weight).norm() / weight.norm()
        assert difference < WEIGHT_TOLERANCE, f"{name} differs by {difference:.1e}"


@pytest.mark.slow
def test_processes_train_the_same_model_also_when_killed_and_when_others_go_on(make_job: Any) -> None:
    """On two processes as on one, although a run is killed at a checkpoint and goes on from it, on as many or not."""
    config = {"epochs": 3, "global_batch_size": 29, "learning_rate": 1e-3}  # the last batch of an epoch has 5 examples
    undisturbed = make_job("undisturbed", **config)
    launch(undisturbed)
    for first, then in ((2, 2), (2, 1), (1, 2)):
        name = f"{first}-then-{then}"
        begun, job = (
            make_job(name, {"processes": count, "seconds_per_checkpoint": 0.0}, **config) for count in (first, then)
        )
        kept = b""
        if sys.platform == "linux":  # elsewhere the launcher outlives the process that started it
            kept = kill_at_a_checkpoint(begun)
        launch(job)
        assert_went_on(job, kept)
        assert_close_runs(job.output, undisturbed.output)


def assert_went_on(job: Job, kept: bytes) -> None:
    """The metrics of what was kept are still there, to the byte: steps that are taken again have other times."""
    assert (job.output / "metrics.jsonl").read_bytes().startswith(kept)


def kill_at_a_checkpoint(job: Job) -> bytes:
    """Launches in a process of its own, kills that when the first checkpoint is there, and returns the metrics up to it."""
    program = "import sys; from qalign.training.launch import job_from_json, launch; launch(job_from_json(sys.argv[1]))"
    process = subprocess.Popen(
        [sys.executable, "-c", program, job_to_json(job)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    limit = time.monotonic() + 300
    while not list(job.scratch.glob("step-*/progress.json")):
        assert process.poll() is None and time.monotonic() < limit, process.communicate()[0]
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)  # ends when the last process that holds the pipe has ended
    assert not (job.output / "training.json").exists(), "the run ended before it could be killed"
    checkpoint = sorted(job.scratch.glob("step-*"))[-1]
    steps = json.loads((checkpoint / "progress.json").read_text(encoding="utf-8"))["step"]
    lines = (job.scratch / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    assert 0 < steps <= len(lines)
    return b"".join(lines[:steps])


def on_shards(processes: int) -> dict[str, Any]:
    program = Path(__file__).with_name("sharded_on_cpu.py")
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", str(program)]
    return {"launcher": shlex.join(run), "seconds_per_checkpoint": 0.0}


@pytest.mark.slow
def test_shards_train_the_same_model_also_when_killed_and_when_others_go_on(make_job: Any) -> None:
    """FSDP2 through accelerate and a launcher: killed on two processes, gone on with on three, to an ordinary folder."""
    config = {"epochs": 3, "global_batch_size": 29, "learning_rate": 1e-3}
    whole, sharded = make_job("whole", **config), make_job("sharded", on_shards(2), **config)
    launch(whole)
    kept = kill_at_a_checkpoint(sharded)
    checkpoint = sorted(sharded.scratch.glob("step-*"))[-1]
    parts = [path.name for path in checkpoint.iterdir() if path.name.startswith(("shard", "model", "optimizer"))]
    assert sorted(parts) == ["shard-00000.safetensors", "shard-00001.safetensors"], "each process wrote its part"
    with pytest.raises(ModelError, match=r"was written by a training that was sharded \(FSDP\); go on with a launcher"):
        launch(make_job("sharded", **config))
    launch(make_job("sharded", on_shards(3), **config))
    assert_went_on(sharded, kept)
    assert_close_runs(sharded.output, whole.output)


@pytest.mark.slow
def test_shards_are_saved_in_the_precision_that_was_chosen(make_job: Any) -> None:
    """Tied weights are cast once: the folder has each tensor once, as of one process."""
    config = {"max_steps": 1, "save_precision": "bfloat16"}
    whole, sharded = make_job("whole", **config), make_job("sharded", on_shards(2), **config)
    launch(whole)
    launch(sharded)
    found, expected = (load_file(job.output / "model.safetensors") for job in (sharded, whole))
    assert {name: (tensor.dtype, tensor.shape) for name, tensor in found.items()} == {
        name: (torch.bfloat16, tensor.shape) for name, tensor in expected.items()
    }
    assert (sharded.output / "config.json").read_text("utf-8") == (whole.output / "config.json").read_text("utf-8")


def test_the_examples_of_launching_shard_as_the_test_does() -> None:
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    expected = runpy.run_path(str(Path(__file__).with_name("sharded_on_cpu.py")))["ENVIRONMENT"]
    folder = Path(__file__).parents[2] / "examples"
    given = ["--config_file", str(folder / "fsdp2.yaml"), "program.py"]
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(given))
    found = prepare_multi_gpu_env(arguments)
    assert {name: found[name].lower() for name in expected} == {name: value.lower() for name, value in expected.items()}
    script = (folder / "slurm.sh").read_text(encoding="utf-8")
    exported = dict(
        re.findall(r"((?:ACC|FSDP)[A-Z_]+)=(\S+)", " ".join(re.findall(r"^export .*", script, re.MULTILINE)))
    )
    assert exported == expected


def test_a_launcher_that_is_not_there_is_named(make_job: Any) -> None:
    with pytest.raises(SettingError, match="the launcher 'no-such-launcher' cannot be started"):
        launch(make_job(placement={"launcher": "no-such-launcher --nodes 2"}))
    with pytest.raises(SettingError, match="is not a command \\(No closing quotation\\); close its quotes"):
        launch(make_job(placement={"launcher": "torchrun 'half"}))


@pytest.mark.slow
@pytest.mark.skipif(torch.accelerator.is_available(), reason="for machines without an accelerator")
def test_two_processes_train_together_where_no_device_is_named(make_job: Any) -> None:
    """Where they do not, each trains a model of its own on all examples, and both write it."""
    one = make_job("one", max_steps=4)
    two = make_job("two", placement={"processes": 2, "device": "auto"}, max_steps=4)
    launch(one)
    launch(two)
    assert_close_runs(two.output, one.output)


def test_the_flat_loop_trains_the_same_model(
    make_job: Any, base: Path, data: Path, flat_loop: ModuleType, tmp_path: Path
) -> None:
    """Nine steps over two epochs: order, schedule, clipping and optimiser are the flat loop's."""
    job = make_job(epochs=3, global_batch_size=32, max_steps=9, learning_rate=1e-3, warmup_ratio=0.2)
    launch(job)
    losses = flat_loop.main(
        ["--model", str(base), "--examples", str(data), "--output", str(tmp_path / "flat"), "--seed", str(job.config.seed),
         "--epochs", "3", "--global-batch-size", "32", "--max-steps", "9", "--learning-rate", "1e-3",
         "--warmup-ratio", "0.2"]
    )  # fmt: skip
    assert losses == pytest.approx([row["loss"] for row in metrics(job.output)], abs=1e-4)
    assert_close_weights(job.output, tmp_path / "flat")
