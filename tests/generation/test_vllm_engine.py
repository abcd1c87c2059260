"""What is asked of vLLM's engine and made of its outputs. The engine stands in here; tests/vllm has the real one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from qalign.alignment.prompts import encode_prompts
from qalign.alignment.prompts import prompt as study_prompt
from qalign.cli import app
from qalign.errors import ModelError, SettingError
from qalign.generation import DecodingConfig, Request
from qalign.generation.vllm_engine import REQUESTS_AT_ONCE, Engine, engine_arguments
from qalign.models.opening import load_tokenizer
from qalign.placement import Placement
from qalign.systems import SCALES, Study
from qalign.systems.bases import WORLD_FOLDER
from qalign.systems.running import unused


class Recorder:
    """Says the same ids to every prompt."""

    def __init__(self, ids: list[int], finish: str) -> None:
        self.ids, self.finish, self.calls = ids, finish, list[tuple[Any, Any]]()

    def generate(self, prompts: Any, sampling: Any, use_tqdm: bool) -> list[Any]:
        assert not use_tqdm
        self.calls.append((prompts, sampling))
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=self.ids, finish_reason=self.finish)])] * len(
            prompts
        )


@pytest.fixture
def tokenizer(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=SimpleNamespace))
    return load_tokenizer(WORLD_FOLDER)


def engine(tokenizer: Any, stands_in: Recorder, **decoding: Any) -> Engine:
    return Engine(stands_in, tokenizer, DecodingConfig(max_new_tokens=9, **decoding), [2, 77])


def test_it_is_sent_the_tokens_of_training_and_the_decoding(tokenizer: Any) -> None:
    stands_in = Recorder([2], "stop")
    requests = [Request(str(n), f"Anna has {n} apples.") for n in range(REQUESTS_AT_ONCE + 1)]
    found = list(engine(tokenizer, stands_in, temperature=0.5, top_p=0.9).generate(requests))
    assert [answer.key for answer in found] == [request.key for request in requests]
    assert [len(prompts) for prompts, _ in stands_in.calls] == [REQUESTS_AT_ONCE, 1]
    sent = [prompt["prompt_token_ids"] for prompts, _ in stands_in.calls for prompt in prompts]
    assert sent == [
        list(ids) for ids in encode_prompts([study_prompt(request.instruction) for request in requests], tokenizer)
    ]
    first, second = stands_in.calls[0][1][:2]
    assert (first.temperature, first.top_p, first.max_tokens, first.stop_token_ids) == (0.5, 0.9, 9, [2, 77])
    assert first.seed != second.seed


@pytest.mark.parametrize(
    ("ids", "finish", "kept"),
    [
        ([130, 131, 2], "stop", 2),
        ([130, 131, 77], "stop", 2),
        ([130, 131], "stop", 2),
        ([130, 131, 132], "length", 3),
        ([2], "stop", 0),
    ],
)
def test_the_end_is_no_part_of_the_answer(tokenizer: Any, ids: list[int], finish: str, kept: int) -> None:
    (answer,) = engine(tokenizer, Recorder(ids, finish)).generate([Request("k", "Eva")])
    assert (answer.tokens, answer.finish) == (kept, finish)
    assert answer.text == tokenizer.decode(ids[:kept], skip_special_tokens=True)


def test_what_was_given_up_is_an_error(tokenizer: Any) -> None:
    with pytest.raises(ModelError, match="gave k up"):
        list(engine(tokenizer, Recorder([], "abort")).generate([Request("k", "Eva")]))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package named vllm with some arguments of the engine."""
    (tmp_path / "vllm" / "engine").mkdir(parents=True)
    (tmp_path / "vllm" / "__init__.py").touch()
    fields = "model: str = ''\n    tensor_parallel_size: int = 1\n    gpu_memory_utilization: float = 0.9"
    code = f"from dataclasses import dataclass\n\n@dataclass\nclass EngineArgs:\n    {fields}\n"
    (tmp_path / "vllm" / "engine" / "arg_utils.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    real = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "vllm"}
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        del sys.modules[name]
    sys.modules.update(real)


def test_arguments_of_the_engine_are_read_as_values() -> None:
    text = (
        'tensor_parallel_size=2, gpu_memory_utilization=0.5,enforce_eager=true,compilation_config={"mode": 0, "a": "x"}'
    )
    assert engine_arguments(Placement(vllm=text)) == {
        "tensor_parallel_size": 2, "gpu_memory_utilization": 0.5, "enforce_eager": True,
        "compilation_config": {"mode": 0, "a": "x"},
    }  # fmt: skip
    assert engine_arguments(Placement()) == {}


@pytest.mark.parametrize("text", ["tensor_parallel_size", "=2", "a=1,,b=2", "a={", "a=", "1", "a=1}, {b: 2"])
def test_what_is_no_argument_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="is not NAME=VALUE, with commas between several"):
        engine_arguments(Placement(vllm=text))


@pytest.mark.parametrize(
    "name",
    ["model", "tokenizer", "trust_remote_code", "load_format", "dtype", "seed", "generation_config", "quantization",
     "override_generation_config", "hf_overrides", "worker_cls", "speculative_config", "data_parallel_size"],
)  # fmt: skip
def test_what_decides_the_answers_is_no_execution_setting(name: str) -> None:
    with pytest.raises(SettingError, match=f"--vllm takes no {name}: it changes answers"):
        engine_arguments(Placement(vllm=f"tensor_parallel_size=2,{name}=x"))


@pytest.mark.usefixtures("installed")
def test_a_mistyped_argument_is_told_by_the_names_of_the_installed_version() -> None:
    with pytest.raises(SettingError, match="no such argument; did you mean 'tensor_parallel_size'"):
        engine_arguments(Placement(vllm="tensor_paralel_size=2"))
    assert engine_arguments(Placement(vllm="tensor_parallel_size=2")) == {"tensor_parallel_size": 2}


def evaluated(tmp_path: Path, *words: str) -> Any:
    given = ["eval", str(WORLD_FOLDER), "--scale", "toy", "--limit", "1", "--runs", str(tmp_path / "runs"), *words]
    return CliRunner().invoke(app, given, catch_exceptions=False)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--vllm", "seed=1"], "--vllm takes no seed: it changes answers"),
        (["--vllm", "max_num_seqs=1"], "which no stage asks: --set generation.backend=vllm"),
        (["--vllm", "max_num_seqs=1", "--endpoint", "http://localhost:1/v1"], "give its arguments to the server"),
    ],
)
def test_arguments_that_reach_no_engine_are_refused(words: list[str], says: str, tmp_path: Path) -> None:
    result = evaluated(tmp_path, *words)
    assert result.exit_code == 2 and says in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "runs" / "stages").exists()


@pytest.mark.parametrize(
    ("scale", "device", "visible", "backend"),
    [
        ("paper", "auto", "0", "vllm"),
        ("paper", "cuda", "0,1", "vllm"),
        ("paper", "cpu", "0", "transformers"),
        ("paper", "auto", "", "transformers"),
        ("toy", "auto", "0", "transformers"),  # float32
    ],
)
@pytest.mark.usefixtures("installed")
def test_vllm_answers_by_default_where_it_has_a_gpu(
    scale: str, device: str, visible: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    given = Study(base_name="world", scale=SCALES[scale], runs=tmp_path, tests=("world-mgsm",))
    study = unused(given, Placement(device=device))
    (judge,) = study.scored(study.base).values()
    assert judge.answers.decoding.backend == backend  # type: ignore[attr-defined]
    assert judge.answers.size(tmp_path).endswith(", by vllm") == (backend == "vllm")


def test_without_vllm_a_gpu_changes_no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    given = Study(base_name="world", scale=SCALES["paper"], runs=tmp_path)
    assert unused(given, Placement()).backend is None
