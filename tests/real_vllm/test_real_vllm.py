"""The real vLLM against the package's own loop: the offline engine and a server, in float32, with the base of the world.

`make test-vllm` makes an environment with vLLM for CPUs and runs this file. Without vLLM it is skipped.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from qalign.errors import SettingError
from qalign.generation import DecodingConfig, Request, open_backend
from qalign.generation.vllm_engine import FIXED, engine_arguments
from qalign.placement import Placement
from qalign.systems.bases import WORLD_FOLDER

pytestmark = pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: see make test-vllm")
psutil: Any = pytest.importorskip("psutil")

ENGINE = "enforce_eager=true,max_num_seqs=64,gpu_memory_utilization=0.15"
PER_LANGUAGE = 30
"""Problems of each of ten languages."""
SECONDS = 900.0
"""How long a start may take on a busy machine: vLLM imports for a minute or more."""
VARIABLES = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1",
}  # fmt: skip
Answers = dict[tuple[str, str], tuple[str, str]]


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "qalign", *map(str, words)]


def qalign(*words: str | Path) -> None:
    done = subprocess.run(command(*words), env=VARIABLES, capture_output=True, text=True, timeout=2 * SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


def asked(runs: Path, *more: str) -> list[str | Path]:
    """The evaluation of the world's base on 300 problems."""
    return [
        "eval", WORLD_FOLDER, "--scale", "toy", "--test", "world-mgsm", "--limit", str(PER_LANGUAGE), "--device", "cpu", "--runs",
        runs, "--set", "generation.max_new_tokens=96", *more,
    ]  # fmt: skip


def answers(runs: Path, backend: str, *more: str) -> Answers:
    """The text of each answer, and why it ended, by language and id."""
    qalign(*asked(runs, *more))
    (stage,) = runs.glob("stages/generate-*/stage.json")
    assert json.loads(stage.read_text())["identity"]["config"]["decoding"]["backend"] == backend
    rows = map(json.loads, stage.with_name("predictions.jsonl").read_text(encoding="utf-8").splitlines())
    return {(row["language"], row["id"]): (row["text"], row["finish"]) for row in rows}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The answers of the package's own loop."""
    found = answers(tmp_path_factory.mktemp("own"), "transformers")
    assert len(found) == 10 * PER_LANGUAGE
    assert sum(finish == "stop" for _, finish in found.values()) > 5 * PER_LANGUAGE, "answers end"
    return found


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A `vllm serve` with the base."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    words = [
        str(Path(sys.executable).with_name("vllm")), "serve", str(WORLD_FOLDER), "--host", "127.0.0.1", "--port", str(port),
        "--dtype", "float32", "--enforce-eager", "--max-num-seqs", "64", "--gpu-memory-utilization", "0.15",
        "--generation-config", "vllm",
    ]  # fmt: skip
    server = subprocess.Popen(words, env=VARIABLES, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        until = time.monotonic() + SECONDS
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None and time.monotonic() < until, "the server does not start"
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_the_offline_engine_gives_the_same_texts(expected: Answers, tmp_path: Path) -> None:
    assert answers(tmp_path, "vllm", "--set", "generation.backend=vllm", "--vllm", ENGINE) == expected


def test_a_server_that_is_sent_token_ids_gives_the_same_texts(url: str, expected: Answers, tmp_path: Path) -> None:
    assert answers(tmp_path, "completions", "--endpoint", url) == expected


def test_a_server_that_is_asked_by_chat_gives_the_same_texts(url: str, expected: Answers, tmp_path: Path) -> None:
    words = ["--endpoint", url, "--set", "generation.backend=endpoint"]
    assert answers(tmp_path, "endpoint", *words) == expected


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_a_run_that_was_killed(number: int, tmp_path: Path) -> None:
    """Two workers share the model. It is killed once the engine answers."""
    words = asked(tmp_path, "--set", "generation.backend=vllm", "--vllm", f"{ENGINE},tensor_parallel_size=2")
    run = subprocess.Popen(command(*words), env=VARIABLES, start_new_session=True)
    until = time.monotonic() + SECONDS
    while not list(tmp_path.rglob("predictions.partial.jsonl")):
        assert run.poll() is None and time.monotonic() < until, "the engine does not start"
        time.sleep(0.1)
    started = psutil.Process(run.pid).children(recursive=True)
    assert sum("VLLM" in process.name() for process in started) >= 3, "an engine and its workers"
    run.send_signal(number)
    run.wait()
    _, alive = psutil.wait_procs(started, timeout=60)
    for process in alive:
        process.kill()
    assert not alive


def test_an_engine_ends_with_its_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run goes on with other stages, which need the device's memory."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    decoding, before = DecodingConfig(max_new_tokens=12, backend="vllm"), psutil.Process().children(recursive=True)
    backend = open_backend(WORLD_FOLDER, decoding, Placement(vllm=ENGINE))
    assert [answer.key for answer in backend.generate([Request("a", "Eva"), Request("b", "Otto")])] == ["a", "b"]
    processes = [one for one in psutil.Process().children(recursive=True) if one not in before and "VLLM" in one.name()]
    assert processes, "the engine is a process of its own"
    backend.close()  # type: ignore[attr-defined]
    assert psutil.wait_procs(processes, timeout=60)[1] == []


def test_arguments_are_those_of_this_version() -> None:
    with pytest.raises(SettingError, match="did you mean 'gpu_memory_utilization'"):
        engine_arguments(Placement(vllm="gpu_memory_utilisation=0.5"))
    assert engine_arguments(Placement(vllm=ENGINE))["max_num_seqs"] == 64
    from vllm.engine.arg_utils import EngineArgs

    names = [field.name for field in fields(EngineArgs)]
    assert [start for start in FIXED if not any(name.startswith(start) for name in names)] == []
