"""The commands of README and docs do what they say: each is run here, small, or stands below with the reason why not.

A new command without a row fails. Commands share one folder of runs, so that a stage is made once.
"""

from __future__ import annotations

import gzip
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from own_data import OwnData, write_own_data
from qalign.cli import app
from qalign.models.tiny import TinyConfig, make_tiny
from qalign.systems import SCALES
from qalign.systems.scales import DataConfig
from test_house_rules import DOCUMENTS, code_blocks, spoken

REPOSITORY = Path(__file__).parents[1]

RUN = (
    "qalign adopt SYSTEM CHECKPOINT",
    "qalign check --drop-invalid",
    "qalign check gsm8kinstruct --role questions",
    "qalign check world-gsm8kinstruct --role questions",
    "qalign demo",
    "qalign eval MODEL",
    "qalign eval MODEL_A MODEL_B",
    "qalign eval MODEL_A MODEL_B --name before --name after",
    "qalign explain SYSTEM... --base MODEL",
    "qalign list",
    "qalign list bases",
    "qalign plan SYSTEM... --base MODEL",
    "qalign report RESULTS.json --format latex",
    "qalign report RESULTS_A RESULTS_B",
    "qalign reproduce",
    "qalign run SYSTEM... --base MODEL",
    "qalign run monoreason slow=monoreason --set slow.response-alignment.learning_rate=1e-6",
    "qalign run qalign-mono --base PATH --set response-alignment.learning_rate=1e-5 "
    "--set qalign-mono.response-alignment.epochs=2",
    "qalign run qalign-mono qalign-mixed --base world --scale toy --test world-development "
    "--set response-alignment.max_steps=450 --seed 1",
    "qalign runs",
    "qalign score FILE --language sw",
    "qalign score answers.csv",
    "qalign world show --languages en,sw,ja --count 2",
)
"""Run below, with small inputs in the place of MODEL, PATH and the like."""

LLAMA = 'meta-llama/Llama-2-7b-hf --launcher "accelerate launch --config_file examples/fsdp2.yaml"'
NOT_HERE = {
    "qalign eval OWNER/NAME": "a hub; tests/systems/test_cards.py pushes a model to one, and measures it from there",
    "qalign plan study.toml": "tests/cli/test_study_files.py runs it",
    "qalign run study.toml --limit 20 --set training.global_batch_size=16": "tests/cli/test_study_files.py plans it",
    "qalign plan monoreason qalign-mono --base world --scale toy --limit 20 --save my-study.toml": "tests/cli/"
    "test_study_files.py runs it",
    "qalign score answers.csv --language sw --benchmark mgsm --join order": "the hub; tests/cli/test_scoring.py joins in "
    "every way",
    "make test": "this is it",
    "make test-vllm": "an environment of 4 GB, and up to an hour",
    "make setup": "each target calls it",
    "make test-trackers": "other packages, from the network; tests/training/test_reports.py has TensorBoard here",
    "make test-slurm": "starts daemons as root, a quarter of an hour",
    "make test-ray": "installs Ray and starts a cluster",
    "python bench/cluster.py": "measures for minutes",
    "pip install 'qalign[slurm]'": "the network",
    "pip install 'qalign[ray]'": "the network",
    "qalign run qalign-mono --base PATH --cluster ray": "tests/cluster/test_ray.py runs it",
    "qalign run qalign-mono monoreason --base PATH --cluster slurm --cluster-option partition=gpu "
    "--cluster-option account=ACCOUNT": "tests/cluster/test_slurm.py runs it, without GPUs",
    "qalign run qalign-mono --base PATH --cluster slurm --cluster-option nodes=2 --cluster-option gpus-per-node=8 --launcher "
    "'srun torchrun --nnodes=2 --nproc-per-node=8 --rdzv-backend=c10d --rdzv-id=$SLURM_JOB_ID "
    "--rdzv-endpoint=$SLURMD_NODENAME:29500'": "several GPU nodes",
    "make test-neighbours": "other packages, from the network",
    "make lint": ".ci/run calls it",
    "make reference": "tests/systems/test_reference.py makes the pages anew",
    "make clean": "removes what set-up made",
    "make documents": ".ci/run calls it",
    "make docs": ".ci/run calls it",
    "make hostile": "up to an hour; the tests hold a sample of it",
    'make hostile HOSTILE="--only ID"': "for a fault that `make hostile` found",
    "make demo": "a quarter of an hour; it is `qalign demo`, which is run below at a smaller scale",
    "make sample": ".ci/run calls it, with fewer steps and problems (make documents)",
    "qalign world write DIR": "minutes; .ci/run calls it (make documents)",
    "qalign world base DIR": "trains for an hour; tests/systems/test_world_base.py reads fewer documents",
    "qalign reproduce --seeds 1,2,3 --system monoreason --system qalign-mono --base DIR --test world-development "
    "--test world-development-out": "minutes a seed; reproduce runs below at a smaller scale",
    "qalign reproduce --seeds 101,102,103 --system monoreason --system multireason --system qalign-mono "
    "--base world": "minutes a seed, too",
    "qalign run sft rft metamath mammoth wizardmath --base world --scale toy --seed 101 --jobs 2": (
        "half an hour; tests/systems/test_augmented.py and test_reinforce.py run these systems with fewer steps"
    ),
    "qalign run mathoctopus-parallel mathoctopus-cross --base world --scale toy --seed 101": (
        "minutes; tests/systems/test_mathoctopus.py runs them with fewer steps"
    ),
    "qalign world base DIR --documents 160000": "trains for half an hour; test_world_base.py reads fewer documents",
    "qalign world probe": "a minute; tests/systems/test_world.py asks fewer probes",
    "qalign world probe world DIR": "needs a base of one's own; tests/systems/test_world.py asks others",
    "qalign convert MODEL NEW_FOLDER": "tests/models/test_converting.py runs it",
    "qalign convert meta-math/MetaMath-7B-V1.0 ./my-metamath": "the hub; tests/models/test_converting.py has one here",
    "qalign eval FOLDER": "as `qalign eval MODEL`",
    "qalign eval FOLDER --test mgsm": "tests/test_lm_eval.py runs it, with a folder of data",
    "qalign run mathoctopus-parallel in-english=mathoctopus-parallel --base world --scale toy "
    "--set in-english.generation.question=english": "tests/systems/test_mathoctopus.py plans it",
    "qalign eval metamath-7b --test mgsm": "the hub; tests/systems/test_presets.py has one here",
    "qalign eval MODEL --endpoint URL": "tests/generation/test_endpoint.py runs it, with a server",
    f"qalign plan qalign-mono monoreason --base {LLAMA} --devices 8 --device-memory 80": "asks the hub",
    "qalign plan qalign-mono --base meta-llama/Llama-2-7b-hf --measure": "asks the hub",
    f"qalign run qalign-mono monoreason --base {LLAMA}": "the hub, GPUs, hours",
    f"qalign run qalign-mono monoreason --base {LLAMA} --set generation.backend=vllm": "the hub, GPUs, hours",
    "qalign run qalign-mono --base meta-llama/Llama-2-7b-hf --limit 2 --runs trial --set training.max_steps=5 "
    '--launcher "accelerate launch --config_file examples/fsdp2.yaml"': "the hub, GPUs",
    'qalign run qalign-mono --base PATH --launcher "accelerate launch --config_file examples/fsdp2.yaml"': "several GPUs; "
    "tests/training/test_exact_step.py trains on shards of a CPU",
    "qalign check metamathqa --role english": "the hub",
    "qalign check mathinstruct --role english": "the hub",
    "qalign check mgsm --role test": "the hub",
    "qalign check msvamp --role test": "the hub",
    "qalign eval FOLDER --endpoint http://localhost:8000/v1": "tests/generation/test_endpoint.py runs it, with a server",
    "qalign runs remove --unneeded": "tests/systems/test_inventory.py runs it",
    "qalign runs remove RUN": "tests/systems/test_inventory.py runs it",
    "qalign score answers.jsonl --language sw": "tests/test_ecosystem.py runs it",
    "pip install '.[all]' && qalign doctor": "the network",
    "pip install '.[all]'": "the network",
    "pip install '.[all]' vllm": "the network",
    "qalign eval MODEL --endpoint http://localhost:8000/v1": "tests/generation/test_endpoint.py runs it, with a server",
    "pip install 'qalign[track]'": "the network",
    "qalign run my_samplers:union --base meta-llama/Llama-2-7b-hf": "tests/systems/test_keep.py plans it with small bases",
    "qalign doctor": "tests/systems/test_doctor.py runs it",
    "pip install 'qalign[8bit]'": "the network",
    "pip install 'qalign[report]'": "the network",
    "pip install 'qalign[languages]'": "the network",
    "pip install -e '.[bench]' -c constraints.txt": "the network",
    "python bench/generation.py --data FOLDER": "measures for hours",
    "python bench/generation.py --without slots refilling order prefix": "measures for hours",
    "python bench/growth.py": "measures for hours",
    "python bench/plan.py": "measures for minutes",
    "python bench/gpu.py": "a GPU",
    "python bench/gpu.py --generation-only": "a GPU",
    "python bench/gpu.py --shape 13b --optimizer adamw8bit --package-only --steps 2": "a GPU",
    "python bench/preparation.py --data FOLDER": "measures for hours",
    "python bench/preparation.py --data FOLDER --growth": "measures for hours",
    "python bench/processes.py --data FOLDER": "measures for hours",
    "python bench/training.py --data FOLDER --litgpt PYTHON": "another package, hours",
    "python bench/training.py --data FOLDER --profile": "measures for hours",
}


WORKED_EXAMPLES = (
    "python examples/own_languages.py mine",
    "qalign check mine/multilingual --role multilingual --languages en,vi,id --language-file mine/languages.toml",
    "qalign eval world --test mine/test --test-languages en,vi --language-file mine/languages.toml --limit 5",
    "qalign plan qalign-mono --base tiny --questions mine/questions --english mine/english.jsonl --test mine/test "
    "--languages vi,id --language-file mine/languages.toml",
    "qalign report runs/results/NAME",
    "qalign run monoreason multireason --base tiny --scale sample --languages vi,id --multilingual mine/multilingual "
    "--english mine/english.jsonl --test mine/test --language-file mine/languages.toml --set training.epochs=4 "
    "--set data.examples_per_language=none",
    "qalign run my_filter:my_system --base world --scale toy --limit 5 --test-languages de,en --set sampling.samples=2 "
    "--set sampling.max_new_tokens=80",
    "qalign run my_systems:my_system --base tiny --scale sample --languages vi,id "
    "--multilingual mine/multilingual --english mine/english.jsonl --test mine/test --language-file mine/languages.toml "
    "--set data.examples_per_language=none",
)
"""tests/test_worked_examples.py runs these in their order."""


def commands(document: Path) -> Iterator[str]:
    """The commands of a document, in code blocks and in sentences; a verb alone in a sentence is no more than its name."""
    lines = {line for block in code_blocks(document) for line in re.sub(r"\\\n\s*", " ", block).splitlines()}
    whole = {" ".join(re.sub(r"(^|\s)#.*", "", line).split()) for line in lines}
    for said in spoken(document):
        command = " ".join(said.split())
        names_a_verb = re.fullmatch(r"qalign \S+", command) and command not in whole
        if re.match(r"(?:qalign|make|pip|python) \S", command) and not names_a_verb:
            yield command


def test_every_command_of_the_documents_has_a_row() -> None:
    # tests/cli/test_help.py and tests/systems/test_reference.py try these two.
    documents = [document for document in DOCUMENTS if document.name not in ("cli.md", "settings.md")]
    found = {command for document in [*documents, REPOSITORY / "CONTRIBUTING.md"] for command in commands(document)}
    assert found - {*RUN, *NOT_HERE, *WORKED_EXAMPLES} == set(), "new: say in this file how it is run"
    assert {*RUN, *NOT_HERE, *WORKED_EXAMPLES} - found == set(), "gone: take it out of this file"
    assert not set(RUN) & set(NOT_HERE)


def test_ci_calls_what_is_not_run_here() -> None:
    called = re.findall(r"^make (\S+)$", (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert called == ["lint", "docs", "test", "documents"]


# --- running them -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """What the commands are given: a folder of runs, a small base, data in languages of two kinds, files of results."""

    runs: Path
    base: Path
    data: OwnData
    further: OwnData
    language_file: Path
    corpora: Path
    answers: Path


LANGUAGE_FILE = """
[[language]]
code = "vi"
name = "Vietnamese"

[[language]]
code = "id"
name = "Indonesian"
"""
LIMITS = ["--set", "generation.max_new_tokens=4", "--set", "data.problems_per_language=2"]
ONE_STEP = ["--set", "training.max_steps=1"]
MACHINE = ["--device", "cpu", "--tracker", "none"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("documents")
    shape = TinyConfig(vocabulary=300, hidden_size=32, layers=1, heads=2, intermediate_size=64)
    make_tiny(["Anna has 3 apples.", "Below is an instruction."], shape, folder / "base")
    (folder / "languages.toml").write_text(LANGUAGE_FILE, encoding="utf-8")
    answer = {"id": "1", "response": "Jibu ni 7.", "gold": 7}
    (folder / "answers.jsonl").write_text(json.dumps(answer) + "\n", encoding="utf-8")
    # As many rows as the corpus has: fewer would be taken for a file that was cut off.
    rows = [json.dumps({"id": n, "question": f"{n}?", "question_en": f"{n}?"}) + "\n" for n in range(7473)]
    questions = folder / "corpora" / "train" / "gsm8kinstruct" / "questions"
    questions.mkdir(parents=True)
    for code in ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es"):
        with gzip.open(questions / f"{code}.jsonl.gz", "wt", compresslevel=1) as file:
            file.writelines(rows)
    data, further = (
        write_own_data(folder / name, codes) for name, codes in (("data", ("de", "sw")), ("further", ("vi", "id")))
    )
    return Place(
        folder / "runs",
        folder / "base",
        data,
        further,
        folder / "languages.toml",
        folder / "corpora",
        folder / "answers.jsonl",
    )


@pytest.fixture(autouse=True)
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy scale, smaller: the same stages in seconds."""
    toy = SCALES["toy"]
    data = DataConfig(examples_per_language=8, english_examples=16, problems_per_language=2)
    stages = {name: replace(config, max_steps=1) for name, config in toy.stages.items()}
    smaller = replace(toy, data=data, training=replace(toy.training, max_steps=1), stages=stages, max_new_tokens=4)
    monkeypatch.setitem(SCALES, "toy", smaller)  # type: ignore[index]


def words_of(command: str, place: Place) -> list[str]:
    """The words of a command with what is there in the place of its placeholders, and behind them what makes it small."""
    study = [*place.data.options("questions", "english", "multilingual", "test"), "--languages", "de,sw"]
    small = ["--scale", "sample", *LIMITS, *MACHINE, "--runs", str(place.runs)]
    by_option = {
        "--base": place.base, "--questions": place.further.questions, "--english": place.further.english,
        "--test": place.further.test, "--language-file": place.language_file,
    }  # fmt: skip
    words: list[str] = []
    for word in shlex.split(command)[1:]:
        if word in ("PATH", "DIR", "FILE", "MODEL") and words[-1] in by_option:
            words.append(str(by_option[words[-1]]))
        elif word == "SYSTEM...":
            words += ["monoreason", "qalign-mono"]
        else:
            there = {
                "SYSTEM": "monoreason",
                "CHECKPOINT": place.base,
                "MODEL": place.base,
                "FILE": place.answers,
                "MODEL_A": place.base,
                "MODEL_B": "world",
            }
            words.append(str(there.get(word, word)))
    verb = words[0]
    if verb in ("run", "plan", "explain") and "toy" not in words:
        return [*words, *small, *ONE_STEP, *(study if "--questions" not in words else [])]
    if verb == "run":
        return [*words, "--set", "response-alignment.max_steps=1", *MACHINE, "--runs", str(place.runs)]
    if verb == "reproduce":
        # Without the systems that sample: their own tests run them, and here they took most of an hour.
        few = [word for name in ("sft", "monoreason", "multireason", "qalign-mono") for word in ("--system", name)]
        return [*words, *few, "--seeds", "1", "--runs", str(place.runs), *MACHINE]
    if verb == "demo":
        return [*words, "--runs", str(place.runs)]
    if verb == "adopt":
        return [
            *words,
            *study,
            "--scale",
            "sample",
            "--base",
            str(place.base),
            "--runs",
            str(place.runs.with_name("others")),
        ]
    if verb == "eval":
        return [*words, "--test", str(place.data.test), *small]
    if verb == "check":
        if words[1] == "--drop-invalid":
            words[1:1] = [str(place.data.english), "--role", "english"]
        return [*words, "--data", str(place.corpora), "--runs", str(place.runs)]
    if verb == "runs":
        place.runs.mkdir(exist_ok=True)
        return [*words, "--runs", str(place.runs)]
    if command == "qalign report RESULTS_A RESULTS_B":
        return [verb, *map(str, sorted(place.runs.glob("results/*"))[:2])]
    if verb == "report":
        return [verb, str(next(place.runs.glob("results/*/results.json"))), *words[2:]]
    if words[-1] == "answers.csv":
        (rows,) = [
            block for block in code_blocks(REPOSITORY / "docs" / "data.md") if block.startswith("id,language,gold")
        ]
        words[-1] = str(place.answers.with_suffix(".csv"))
        Path(words[-1]).write_text(rows, encoding="utf-8")
    return words


@pytest.mark.parametrize("command", sorted(RUN, key=lambda command: "report" in command))
def test_a_command_of_the_documents_runs(command: str, place: Place) -> None:
    if "qalign report" in command and len(list(place.runs.glob("results/*/results.json"))) < 2:
        for earlier in ("qalign eval MODEL", "qalign eval MODEL_A MODEL_B"):
            assert CliRunner().invoke(app, words_of(earlier, place)).exit_code == 0
    words = words_of(command, place)
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip()
    shutil.rmtree(place.runs.with_name("others"), ignore_errors=True)
