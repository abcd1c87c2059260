"""`plan` says whether a run fits, how long it takes and how much disk: for this machine, and for one that is described."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from own_data import TWO_LANGUAGES, OwnData, with_option, write
from qalign.cli import app
from qalign.errors import SettingError
from qalign.pipeline import needed
from qalign.placement import Placement
from qalign.systems import SCALES, SYSTEMS, Study, costs, machines, trial
from qalign.systems.ask import Ask
from qalign.systems.comparison import compare
from qalign.systems.evaluated import scores_of
from qalign.systems.known import BASES, DEVICES, device_named, device_with
from qalign.systems.machines import Launch, launch_of, machine_of
from qalign.systems.reinforce import Reinforce
from qalign.systems.settings import parse_settings
from qalign.training.config import Adapter, TrainingConfig
from qalign.training.memory import Shape

LLAMA = ["--base", "meta-llama/Llama-2-7b-hf"]
FSDP = f"accelerate launch --config_file {Path(__file__).parents[2] / 'examples' / 'fsdp2.yaml'}"
EIGHT = ["--devices", "8", "--device-memory", "80"]


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    def figure(self, name: str) -> str:
        """The estimate in the row of that name."""
        (found,) = re.findall(rf"^{re.escape(name)}  +(.+?) *$", self.out, re.MULTILINE)
        return str(found)


def plan(runs: Path, *words: str | Path) -> Answer:
    result = CliRunner().invoke(
        app, ["plan", "qalign-mono", *map(str, words), "--runs", str(runs)], catch_exceptions=False
    )
    return Answer(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


# --- another machine, without the hub -------------------------------------------------------------------------------


def test_7b_on_eight_devices_does_not_fit_whole_and_the_ways_on_are_named(tmp_path: Path) -> None:
    answer = plan(tmp_path / "runs", *LLAMA, *EIGHT)
    assert answer.status == 2 and answer.figure("fits the device") == "no"
    assert re.fullmatch(r"qalign: error: train-\S+ does not fit: .* above\n", answer.err)
    assert "Does not fit: a device needs 101.0 GiB at least, and 73.5 GiB of its 79.0 GiB can be used." in answer.out
    assert "- FSDP over 8 devices: --launcher" in answer.out
    for setting in ("training.optimizer=adamw8bit", "training.adapter=on"):
        assert f"--set {setting}" in answer.out
    assert not (tmp_path / "runs").exists(), "no commit is recorded that nobody knows"


def test_the_answer_stands_first_then_the_stages_then_their_tree(tmp_path: Path) -> None:
    answer = plan(tmp_path / "runs", *LLAMA, *EIGHT, "--launcher", FSDP)
    lines = answer.out.splitlines()
    starts = ("fits the device", "training time", "fetch meta-llama", "It fits:", "Training", "qalign-mono")
    places = [next(n for n, line in enumerate(lines) if line.startswith(start)) for start in starts]
    assert places == sorted(places)
    in_table = {line.split()[0] for line in lines[places[4] : places[5]] if line.startswith("train-")}
    in_tree = {word for line in lines[places[5] :] for word in line.split() if word.startswith("train-")}
    assert in_table == in_tree and len(in_table) == 2


def test_another_machine_is_not_judged_by_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(_: str) -> None:
        return None  # neither torch nor the hub's library: the core alone

    monkeypatch.setattr("importlib.util.find_spec", found)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**20))
    there = plan(tmp_path / "runs", *LLAMA, *EIGHT, "--launcher", FSDP)
    assert there.status == 0 and there.figure("fits the device") == "yes"
    assert "its packages, its disk and its access to the hub were not looked at" in there.out
    assert "Planned for 8 devices, 79 GiB each (sold as 80 GB); 8 processes" in there.out
    for word in ("refused", "not installed", "too little room", "huggingface-hub"):
        assert word not in there.out
    here = plan(tmp_path / "runs", *LLAMA)
    assert here.status == 2 and here.err.startswith("qalign: error: a run would be refused: ")
    for word in ("A run would be refused", "needs torch, which is not installed", "too little room"):
        assert word in here.out
    assert here.out.count("it needs huggingface-hub") == 1, "one line for all that is out of reach"


def test_7b_in_shards_fits_and_has_a_time_and_a_disk(tmp_path: Path) -> None:
    answer = plan(tmp_path / "runs", *LLAMA, *EIGHT, "--launcher", FSDP)
    assert answer.figure("fits the device") == "yes"
    assert "8 processes, the model in FSDP shards over 8." in answer.out
    assert answer.figure("training time") == "57 min" or answer.figure("training time") == "56 min"
    peak, stays = (float(answer.figure(name).removesuffix(" GiB")) for name in ("disk at the peak", "disk that stays"))
    parameters = BASES["meta-llama/Llama-2-7b-hf"].parameters
    assert peak == pytest.approx((36 + 2) * parameters / 2**30, rel=0.02), "three checkpoints, and the first model"
    assert stays == pytest.approx(2 * 2 * parameters / 2**30, rel=0.05), "two models in bfloat16"
    assert answer.figure("fetch meta-llama/Llama-2-7b-hf") == "12.6 GiB"


def test_a_base_that_is_not_known_may_be_a_known_one_misspelt(tmp_path: Path) -> None:
    answer = plan(tmp_path, "--base", "meta-lama/Llama-2-7b-hf", *EIGHT)
    assert "the base is not known here; did you mean 'meta-llama/Llama-2-7b-hf'?" in answer.out
    assert answer.figure("disk that stays") == "unknown"
    assert "did you mean" not in plan(tmp_path, "--base", "mine/own", *EIGHT).out


@pytest.mark.parametrize("way", [["--set", "training.adapter=on"], ["--set", "training.optimizer=adamw8bit"]])
def test_the_other_ways_on_fit(tmp_path: Path, way: list[str]) -> None:
    assert plan(tmp_path, *LLAMA, *EIGHT, *way).figure("fits the device") == "yes"


def test_a_plan_recomputes_what_training_would() -> None:
    """Training keeps to what it is given, though it does not fit."""
    base, machine = BASES["meta-llama/Llama-2-7b-hf"], machines.Machine(memory=139.28 * 2**30)
    for given, recomputing in ((None, True), (True, True), (False, False)):
        placement = Placement(tokens_per_micro_batch=8192, activation_checkpointing=given)
        fit = costs.fit_of(base, TrainingConfig(), machine, placement)
        assert fit is not None and (fit.tokens, fit.recomputing) == (8192, recomputing)
        assert bool(fit.fault) is (given is False)


def test_checkpoints_that_are_not_written_take_no_disk(tmp_path: Path) -> None:
    answer = plan(tmp_path, *LLAMA, *EIGHT, "--launcher", FSDP, "--seconds-per-checkpoint", "inf")
    assert float(answer.figure("disk at the peak").removesuffix(" GiB")) < 30


def test_an_unknown_base_is_unknown(tmp_path: Path) -> None:
    answer = plan(tmp_path, "--base", "owner/nobody-knows", *EIGHT)
    assert answer.status == 0
    for name in ("fits the device", "training time", "fetch owner/nobody-knows"):
        assert answer.figure(name) == "unknown"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--devices", "8"], "--devices needs the memory of one: give --device-memory GB"),
        (["--device-kind", "abacus"], "no device 'abacus' is known here"),
        (["--measure", "--device-memory", "80"], "--measure is for this machine"),
        (
            ["--launcher", "accelerate launch --config_file nowhere.yaml"],
            "accelerate's config nowhere.yaml cannot be read",
        ),
    ],
)
def test_what_cannot_be_planned_for_is_refused(tmp_path: Path, words: list[str], says: str) -> None:
    answer = plan(tmp_path, "--base", "tiny", *words)
    assert answer.status == 2 and says in answer.err and len(answer.err.splitlines()) == 1


# --- launches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("launcher", "expected"),
    [
        (FSDP, Launch(8, 8)),
        (f"{FSDP} --num_processes=16", Launch(16, 16)),
        ("srun torchrun --nnodes 2 --nproc-per-node=4", Launch(8)),
        ("srun -- torchrun --nnodes=2 --nproc-per-node 4", Launch(8)),
        ("srun torchrun --nproc_per_node auto", Launch(3)),
        ("", Launch(3)),
    ],
)
def test_a_launcher_is_read(launcher: str, expected: Launch) -> None:
    assert launch_of(Placement(launcher=launcher), 3) == expected


def test_hybrid_shards_and_gathered_weights_are_read(tmp_path: Path) -> None:
    config = {
        "distributed_type": "FSDP", "num_processes": 16, "fsdp_config": {"fsdp_reshard_after_forward": False},
        "parallelism_config": {"parallelism_config_dp_shard_size": 8},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    launcher = f"accelerate launch --config_file {tmp_path / 'config.yaml'}"
    assert launch_of(Placement(launcher=launcher), 1) == Launch(16, 8, gathers=False)
    (tmp_path / "config.yaml").write_text("- no settings", encoding="utf-8")
    with pytest.raises(SettingError, match="holds no settings"):
        launch_of(Placement(launcher=launcher), 1)


def test_devices_are_known_by_name_and_by_memory() -> None:
    assert device_named("NVIDIA H100 80GB HBM3") is DEVICES[1] is device_with(80)
    assert device_with(141) is DEVICES[0] and device_with(33) is None
    machine = machine_of(Placement(), 2, None, "h200")
    assert (machine.devices, machine.name, machine.kind) == (2, "H200", DEVICES[0])


# --- this machine ---------------------------------------------------------------------------------------------------


def test_own_files_are_read(own_data: OwnData, tmp_path: Path) -> None:
    words = [*TWO_LANGUAGES, "--device", "cpu", "--set", "training.too_long=drop"]
    given = own_data.options("questions", "english", "multilingual", "test")
    answer = plan(tmp_path / "runs", *words, *given)
    assert answer.figure("fits the device") == "yes"
    rows = [
        re.split(r"  +", line.strip())
        for line in answer.out.splitlines()
        if re.match(r"train-(question|response)-al", line)
    ]
    assert [bool(re.fullmatch(r"~[\d,]+", row[1])) for row in rows] == [True, True], (
        "tokens are known before anything runs"
    )
    write(tmp_path / "broken.jsonl", [{"question": "How many?"}])
    broken = plan(tmp_path / "runs", *words, *with_option(given, "--english", tmp_path / "broken.jsonl"))
    assert broken.status == 2 and "a run would be refused: " in broken.err and "broken.jsonl" in broken.err
    assert not (tmp_path / "runs").exists()


def test_tokens_count_all_epochs(own_data: OwnData, tmp_path: Path) -> None:
    words = [*TWO_LANGUAGES, *own_data.options("questions", "english", "multilingual", "test")]

    def tokens(*more: str) -> list[int]:
        out = plan(tmp_path, *words, *more).out
        return [int(text.replace(",", "")) for text in re.findall(r"^train-\S+ +~([\d,]+)", out, re.MULTILINE)]

    once, thrice = tokens("--set", "training.epochs=1"), tokens("--set", "training.epochs=3")
    assert len(once) == 2 and thrice == pytest.approx([3 * count for count in once], abs=3)
    assert tokens("--set", "training.max_steps=1", "--set", "training.epochs=3") == once, "one step is one epoch here"


def test_what_answers_take_that_all_go_on_to_the_limit_is_said(tmp_path: Path) -> None:
    short, long = (
        plan(tmp_path / "runs", *LLAMA, *EIGHT, "--launcher", FSDP, "--set", f"generation.max_new_tokens={limit}")
        for limit in (220, 440)
    )
    minutes = [float(answer.figure("if no answer ends").removesuffix(" min")) for answer in (short, long)]
    assert minutes[1] == pytest.approx(2 * minutes[0], rel=0.05)
    assert short.figure("answering time") == long.figure("answering time"), "a mean answer is shorter than both"


def test_a_sampled_problem_costs_as_much_as_it_has_answers(tmp_path: Path) -> None:
    def cost(samples: int) -> costs.Cost:
        settings = parse_settings([f"sampling.samples={samples}"], SYSTEMS)
        here = Study(base_name="world", scale=SCALES["toy"], runs=tmp_path, settings=settings)
        waiting = needed(scores_of(compare(here, ["rft"])), tmp_path)
        found = costs.costs(waiting, tmp_path, machine_of(Placement(), 1, None, "h100"), Placement())
        (sampled,) = [cost for cost in found if isinstance(cost.stage, Ask) and not cost.stage.measures]
        return sampled

    once, often = cost(1), cost(50)
    assert once.tokens and once.seconds and once.left
    assert (often.tokens, often.left) == pytest.approx((50 * once.tokens, 50 * once.left))
    assert often.seconds == pytest.approx(50 * once.seconds)


def test_reinforcement_is_planned_with_the_answers_that_it_samples(tmp_path: Path) -> None:
    def cost(*settings: str) -> costs.Cost:
        here = Study(base_name="world", scale=SCALES["toy"], runs=tmp_path, settings=parse_settings(settings, SYSTEMS))
        waiting = needed(scores_of(compare(here, ["wizardmath"])), tmp_path)
        found = costs.costs(waiting, tmp_path, machine_of(Placement(), 8, 80, "h100"), Placement())
        (learnt,) = [cost for cost in found if isinstance(cost.stage, Reinforce)]
        return learnt

    once, often = cost(), cost("reinforcement.samples=32")
    small = SCALES["toy"].reinforce
    answers = small.steps * small.problems_per_step * small.samples
    assert once.sampled == pytest.approx(answers * 50, rel=0.1), "as long as those of SFT, about 50 tokens"
    assert once.tokens == pytest.approx(answers * 111, rel=0.1), "with their prompts"
    assert (often.tokens, often.sampled) == pytest.approx((2 * (once.tokens or 0), 2 * once.sampled))
    assert once.seconds and often.seconds == pytest.approx(2 * once.seconds), "on one device, one process"
    assert once.fit and once.left
    held = cost("reinforcement.beta=0.1").fit
    assert held and held.bytes > once.fit.bytes, "the model before is held too"
    ways = costs.ways_on(once, machine_of(Placement(), 8, 80, "h100"), Placement())
    assert ways and all("reinforcement.adapter=on" in way or "leave out" in way for way in ways)


def test_the_embedded_world_is_planned_for_without_making_it(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["plan", "monoreason", "--base", "world", "--scale", "toy", "--runs", str(tmp_path)]
    )
    answer = Answer(result.exit_code, result.stdout, result.stderr)
    assert answer.figure("fits the device") == "yes" and answer.figure("training time") == "unknown"
    assert "--measure takes some steps to find it" in answer.out


@pytest.mark.slow
def test_steps_are_measured() -> None:
    shape = Shape(hidden=32, inner=64, blocks=1, vocabulary=400)
    config = TrainingConfig(precision="float32", global_batch_size=4, adapter=Adapter(rank=2))
    placement = Placement(device="cpu", tokens_per_micro_batch=256)
    rates = trial.measure(
        trial.Trial(model=None, shape=shape, config=config, placement=placement, tokens=60, supervised=0.4)
    )
    assert rates.training > 0 and rates.generation is None
    assert rates.start > 0.5 and rates.checkpoint > 0, "libraries are opened, a checkpoint is written"


@pytest.mark.parametrize(
    ("steps", "seconds", "between", "written"),
    [
        (60, 60.0, 5.0, 5),
        (60, 60.0, 25.0, 1),
        (60, 60.0, 1e9, 0),
        (9, 90.0, 5.0, 0),
        (61, None, 300.0, 6),
        (60, 1.0, 0.0, 5),
    ],
)
def test_checkpoints_are_written_at_reports_alone(
    steps: int, seconds: float | None, between: float, written: int
) -> None:
    assert costs.checkpoints_written(steps, seconds, between) == written


# --- before a run ---------------------------------------------------------------------------------------------------


def words_of(own_data: OwnData, runs: Path) -> list[str]:
    words = ["--base", "tiny", "--scale", "sample", "--languages", "de,sw", "--test-languages", "de,en"]
    return [*words, *map(str, own_data.options("questions", "english", "test")), "--runs", str(runs)]


def test_a_run_says_at_its_start_that_it_may_not_fit(
    own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "memory", lambda: 2**28)
    words = ["run", "monoreason", *words_of(own_data, tmp_path / "runs"), "--device", "cpu", "--quiet"]
    words += [
        "--set",
        "training.max_steps=1",
        "--set",
        "generation.max_new_tokens=1",
        "--set",
        "training.too_long=drop",
    ]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    said = [line for line in result.stderr.splitlines() if "does not fit" in line]
    assert len(said) == 1 and "ways on: " in said[0]
    assert re.match(
        r"qalign: train-response-alignment-\w{8} does not fit: training needs about .* this machine has 256.0 MiB",
        said[0],
    )


def test_a_run_that_is_sure_not_to_fit_its_gpu_is_refused(
    own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        machines, "_this", lambda placement, launch: machines.Machine(memory=23.5 * 2**30, name="RTX 4090")
    )
    huge = [f"--set=tiny.{name}={size}" for name, size in (("hidden_size", 4096), ("layers", 32), ("heads", 32))]
    words = [*words_of(own_data, tmp_path / "runs"), *huge, "--seconds-per-checkpoint", "inf"]
    for verb in ("run", "plan"):
        result = CliRunner().invoke(app, [verb, "monoreason", *words], catch_exceptions=False)
        assert result.exit_code == 2
        assert re.search(
            r"does not fit: a device needs [\d.]+ GiB at least, and 21.\d GiB of its 23.5 GiB", result.stderr
        )
        assert "ways on: FSDP over" in result.stderr and len(result.stderr.splitlines()) == 1
    assert list(costs.unfit([], tmp_path, Placement(launcher="srun train"))) == [], "nothing is trained"
    assert not (tmp_path / "runs").exists()


# --- the core alone -------------------------------------------------------------------------------------------------

CORE_ALONE = """
import sys
from importlib.metadata import packages_distributions, requires
from packaging.requirements import Requirement

left, core = [Requirement(text).name for text in sys.argv.pop(1).split(";")], {"qalign"}
while left:
    name = left.pop().lower().replace("_", "-")
    if name not in core:
        core.add(name)
        wanted = map(Requirement, requires(name) or [])
        left += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
others = {
    module for module, owners in packages_distributions().items()
    if not {owner.lower().replace("_", "-") for owner in owners} & core
}

class CoreAlone:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in others else self.finder.find_spec(name, path, target)

for name in [name for name in sys.modules if name.partition(".")[0] in others]:
    del sys.modules[name]
sys.meta_path[:] = map(CoreAlone, sys.meta_path)
from qalign.cli import main
sys.exit(main())
"""


def test_the_core_alone_plans_for_another_machine(tmp_path: Path) -> None:
    """What is installed without extras is enough, also to read a launcher's config."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = ";".join(tomllib.loads(text)["project"]["dependencies"])
    words = ["plan", "qalign-mono", *LLAMA, *EIGHT, "--launcher", FSDP, "--runs", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", CORE_ALONE, dependencies, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "It fits: " in done.stdout and done.stderr == ""


def test_random_weights_are_not_planned_for_the_published_data_without_a_word(tmp_path: Path) -> None:
    line = "tiny has random weights: at --scale paper it learns nothing"
    assert line in " ".join(plan(tmp_path / "runs", "monoreason").out.split())
    assert line not in " ".join(plan(tmp_path / "runs", "monoreason", "--scale", "sample").out.split())
    assert line not in " ".join(plan(tmp_path / "runs", "monoreason", "--base", "world", "--scale", "toy").out.split())
