"""Several stages at once, each in a worker process: the order that inputs ask for, faults, kills, and the same files."""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import pkgutil
import pty
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import pytest

import qalign
from own_data import OwnData, write_own_data
from qalign import pipeline
from qalign.corpora.columns import InvalidRow
from qalign.errors import DataError, ModelError, QAlignError, SettingError, StageError
from qalign.pipeline import RECORD, Stage, Work
from qalign.pipeline.run import perform
from qalign.pipeline.workers import gpu_groups, open_workers
from qalign.placement import Placement
from qalign.progress import LINES, Bar
from qalign.resources import cores
from qalign.systems.artifacts import Model
from qalign.systems.bases import SERVED, ServedModel
from steps import Step, Task
from waiting import LIMIT_SECONDS, wait_for

JOBS = 2


@pytest.fixture(scope="module")
def workers() -> Iterator[Executor]:
    """Two processes, as `--jobs 2` opens them. Tests that end one open their own."""
    with open_workers(JOBS) as pool:
        assert pool is not None
        yield pool


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A folder outside the runs where stages leave word for each other."""
    (tmp_path / "board").mkdir()
    return tmp_path / "board"


class Log:
    """What a run does, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def __call__(self, event: str, stage: Stage) -> None:
        self.events.append((event, stage.name))

    def names(self, *events: str) -> list[str]:
        return [name for event, name in self.events if event in events]


def run(runs: Path, workers: Executor | None, *targets: Stage, log: Log | None = None) -> Log:
    log = log or Log()
    pipeline.run(targets, runs, on_event=log, workers=workers, jobs=JOBS if workers else 1)
    return log


def files(runs: Path) -> dict[str, bytes]:
    """All files of all stages but the records, which hold the time, and the locks."""
    return {
        str(path.relative_to(runs)): path.read_bytes()
        for path in (runs / "stages").rglob("*")
        if path.is_file() and path.name != RECORD and ".locks" not in path.parts
    }


def unfinished(runs: Path) -> list[str]:
    folders = [path for path in (runs / "stages").iterdir() if path.name != ".locks"]
    return [path.name for path in folders if not (path / RECORD).is_file() or path.name.endswith(".partial")]


# --- functions of stages; a worker finds them by their names here -----------------------------------------------------


def write(work: Task) -> None:
    """Leaves files that depend on config and inputs alone, after a look at whether the inputs are whole."""
    held = []
    for folder in work.inputs.values():
        assert (folder / RECORD).is_file(), f"{folder} is not finished"
        held.append((folder / "out.txt").read_text())
    text = hashlib.sha256(f"{dict(work.config)} {held}".encode()).hexdigest()
    (work.output / "out.txt").write_text(text)
    (work.output / "deeper").mkdir()
    (work.output / "deeper" / "out.bin").write_bytes(bytes.fromhex(text))
    (work.scratch / "gone.txt").write_text("gone")


def meet(work: Task) -> None:
    """Ends only once the others are there too."""
    (work.local["board"] / work.config["me"]).touch()
    for other in work.config["others"]:
        wait_for(f"the meeting with {other}", (work.local["board"] / other).exists)
    (work.output / "out.txt").write_text(f"{os.getpid()} {os.getppid()}")


def fail(work: Task) -> None:
    """Raises once its neighbour runs, with something half-made behind it."""
    wait_for("the neighbour", (work.local["board"] / "neighbour").exists)
    (work.output / "half.txt").write_text("half")
    (work.scratch / "half.txt").unlink(missing_ok=True)
    if work.local["fault"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise work.local["fault"]


def outlast(work: Task) -> None:
    """Ends after the fault beside it is known and the half-made folder is gone."""
    (work.local["board"] / "neighbour").touch()
    wait_for("the end of the fault", lambda: not list(work.output.parent.glob("broken-*")))
    time.sleep(0.5)
    (work.output / "out.txt").write_text("whole")


def surroundings(work: Task) -> None:
    (work.output / "out.txt").write_text(f"{os.environ.get('OMP_NUM_THREADS')} {os.environ.get(LINES)}")


def count(work: Task) -> None:
    with Bar("counting", 3) as bar:
        for _ in range(3):
            bar.advance(1)
    (work.output / "out.txt").write_text("3")


# --- order ------------------------------------------------------------------------------------------------------------


def test_independent_stages_run_at_the_same_time_in_processes_of_their_own(
    tmp_path: Path, board: Path, workers: Executor
) -> None:
    """Each waits for the other, so one after the other they would never end."""
    left, right = (
        Step(me, 1, {"me": me, "others": [other]}, meet, local={"board": board})
        for me, other in (("left", "right"), ("right", "left"))
    )
    run(tmp_path, workers, left, right)
    pids = [(stage.folder(tmp_path) / "out.txt").read_text().split() for stage in (left, right)]
    assert pids[0][0] != pids[1][0]
    assert {parent for _, parent in pids} == {str(os.getpid())}


def tree(seed: int, size: int = 14) -> list[Stage]:
    """A random tree of stages, each on up to three of those before it."""
    draw = random.Random(seed)
    made: list[Stage] = []
    for number in range(size):
        inputs = draw.sample(made, min(len(made), draw.randint(0, 3)))
        made.append(Step(f"s{number}", 1, {"number": number}, write, {f"x{i}": s for i, s in enumerate(inputs)}))
    return made


@pytest.mark.parametrize("seed", range(3))
def test_a_stage_begins_when_its_inputs_are_finished_and_leaves_the_same_files_as_alone(
    tmp_path: Path, workers: Executor, seed: int
) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    run(alone, None, *tree(seed))
    log = run(together, workers, *reversed(tree(seed)))
    assert sorted(log.names("running")) == sorted(stage.name for stage in tree(seed)), "each once"
    for stage in tree(seed):
        for needed in stage.inputs.values():
            assert log.events.index(("finished", needed.name)) < log.events.index(("running", stage.name))
    at_once = 0
    for event, _ in log.events:
        at_once += {"running": 1, "finished": -1}.get(event, 0)
        assert at_once <= JOBS
    assert files(together) == files(alone)
    assert len(files(alone)) == 2 * len(tree(seed))
    assert unfinished(together) == []
    again = run(together, workers, *tree(seed))
    assert set(again.events) == {("done", stage.name) for stage in tree(seed)}


# --- faults -----------------------------------------------------------------------------------------------------------

INVALID = InvalidRow("questions/de.jsonl line 3", "'question' is empty")
FAULTS = {
    "of the data": (DataError("no such corpus; give another"), "no such corpus; give another"),
    "of a row": (INVALID, "questions/de.jsonl line 3: 'question' is empty; fix it, or have such rows dropped"),
    "of ours": (ValueError("a mistake"), "a mistake"),
    "of the disk": (OSError(28, "No space left on device"), "the disk is full"),
}


def broken_tree(board: Path, fault: BaseException | str | None) -> list[Stage]:
    """broken and neighbour, which run at once; later, which has no inputs; after, which needs broken."""
    local = {"board": board, "fault": fault}
    broken = Step("broken", 1, {}, fail if fault else write, local=local)
    neighbour = Step("neighbour", 1, {}, outlast, local=local)
    return [broken, neighbour, Step("later", 1, {}, write), Step("after", 1, {}, write, {"x": broken})]


@pytest.mark.parametrize("kind", FAULTS)
def test_after_a_fault_what_runs_ends_nothing_begins_and_the_next_run_goes_on(
    tmp_path: Path, board: Path, workers: Executor, kind: str
) -> None:
    fault, says = FAULTS[kind]
    log = Log()
    with pytest.raises(StageError if kind == "of the disk" else type(fault), match=re.escape(says)) as caught:
        run(tmp_path, workers, *broken_tree(board, fault), log=log)
    if isinstance(fault, InvalidRow):
        assert isinstance(caught.value, InvalidRow)
        assert (caught.value.where, caught.value.reason) == (fault.where, fault.reason)
    assert sorted(log.names("running")) == ["broken", "neighbour"]
    assert log.names("finished") == ["neighbour"]
    assert [path.name.partition("-")[0] for path in (tmp_path / "stages").iterdir() if path.name != ".locks"] == [
        "neighbour"
    ]
    assert unfinished(tmp_path) == []
    again = run(tmp_path, workers, *broken_tree(board, None))
    assert again.names("done") == ["neighbour"]
    assert sorted(again.names("finished")) == ["after", "broken", "later"]


def test_a_worker_that_is_ended_from_outside_is_one_line(tmp_path: Path, board: Path) -> None:
    """As the system ends one when memory runs out."""
    (board / "neighbour").touch()
    stages = broken_tree(board, "killed")
    with (
        open_workers(JOBS) as pool,
        pytest.raises(StageError, match=r"a worker process was killed, .* memory; go on with fewer --jobs"),
    ):
        run(tmp_path, pool, stages[0], stages[3])
    assert unfinished(tmp_path) == []
    with open_workers(JOBS) as pool:
        mended = broken_tree(board, None)
        assert run(tmp_path, pool, mended[0], mended[3]).names("finished") == ["broken", "after"]


def test_every_error_for_a_user_crosses_from_a_worker() -> None:
    for module in pkgutil.walk_packages(qalign.__path__, "qalign."):
        if "__main__" not in module.name:
            importlib.import_module(module.name)

    def kinds(of: type[QAlignError]) -> Iterator[type[QAlignError]]:
        for kind in of.__subclasses__():
            yield kind
            yield from kinds(kind)

    found = set(kinds(QAlignError))
    assert found >= {DataError, SettingError, ModelError, StageError, InvalidRow}
    for kind in found:
        made = kind("here", "why") if kind is InvalidRow else kind("here")
        back = pickle.loads(pickle.dumps(made))
        assert (type(back), str(back), vars(back)) == (kind, str(made), vars(made))


# --- what a worker is -------------------------------------------------------------------------------------------------


def test_workers_share_the_cores_and_write_lines(tmp_path: Path, workers: Executor) -> None:
    stage = Step("surroundings", 1, {}, surroundings)
    run(tmp_path, workers, stage)
    assert (stage.folder(tmp_path) / "out.txt").read_text() == f"{max(1, cores() // JOBS)} 1"
    assert LINES not in os.environ, "only in the workers"


def on_gpus(board: Path, name: str) -> str:
    """Tells which GPUs this process sees, and ends when it may."""
    (board / f"{name}.begun").touch()
    wait_for(f"leave for {name}", (board / f"{name}.may-end").exists)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_stages_at_once_are_on_gpus_of_their_own(board: Path) -> None:
    with open_workers(3, ["3", "5"]) as pool:
        assert pool is not None
        running = {}

        def begin(name: str) -> None:
            running[name] = pool.submit(on_gpus, board, name)
            wait_for(name, (board / f"{name}.begun").exists)

        def end(name: str) -> str:
            (board / f"{name}.may-end").touch()
            return str(running.pop(name).result(LIMIT_SECONDS))

        for name in ("first", "second", "shares"):
            begin(name)
        assert end("second") == "5"
        begin("third")  # both others are on 3, and 5 is free
        assert end("third") == "5"
        assert end("first") == "3"
        begin("fourth")
        begin("fifth")
        assert sorted([end("fourth"), end("fifth")]) == ["3", "5"]
        assert end("shares") == "3"


def test_a_gpu_is_free_as_soon_as_its_stage_is_done(board: Path) -> None:
    (board / "held.may-end").touch()
    with open_workers(2, ["0", "1"]) as pool:
        assert pool is not None
        long = pool.submit(on_gpus, board, "long")
        for _ in range(20):
            assert pool.submit(on_gpus, board, "held").result(LIMIT_SECONDS) == "1"
        (board / "long.may-end").touch()
        assert long.result(LIMIT_SECONDS) == "0"


def test_stages_that_need_no_gpu_see_none(tmp_path: Path) -> None:
    """They take none from those that do."""
    with open_workers(2, ["0", "1"]) as pool:
        assert pool is not None
        work = Work(folders={}, output=tmp_path, scratch=tmp_path, placement=None)
        pool.submit(perform, ServedModel(name="base-served", served="model"), work).result(LIMIT_SECONDS)
        assert (tmp_path / SERVED).is_file()
        assert pool.submit(os.getenv, "CUDA_VISIBLE_DEVICES").result(LIMIT_SECONDS) == "0"
        assert len(pool.workers) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("visible", "placement", "groups"),
    [
        ("0,1,2", Placement(jobs=2), ["0", "1", "2"]),
        ("GPU-a,GPU-b", Placement(jobs=4, device="cuda"), ["GPU-a", "GPU-b"]),
        ("2,3,5,7,8", Placement(jobs=2, processes=2), ["2,3", "5,7"]),
        ("2,3,5,7,8", Placement(jobs=2, vllm="tensor_parallel_size=2,max_num_seqs=3"), ["2,3", "5,7"]),
        ("0,1,2,3", Placement(jobs=2, vllm="tensor_parallel_size=2,pipeline_parallel_size=2"), []),
        ("0,1", Placement(jobs=1), []),
        ("0,1", Placement(jobs=2, device="cpu"), []),
        ("0,1", Placement(jobs=2, launcher="accelerate launch"), []),
        ("0", Placement(jobs=2), []),
        ("", Placement(jobs=2), []),
        ("0,1,2", Placement(jobs=2, processes=2), []),
    ],
)
def test_the_visible_gpus_are_shared_out(
    visible: str, placement: Placement, groups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_groups(placement) == groups


def test_one_job_needs_no_process_of_its_own() -> None:
    with open_workers(1) as pool:
        assert pool is None


ON_A_TERMINAL = """
import sys
from pathlib import Path
from qalign import pipeline
from qalign.pipeline.workers import open_workers
from steps import Step
import test_workers

jobs = int(sys.argv[2])
with open_workers(jobs) as workers:
    stages = [Step(name, 1, {}, test_workers.count) for name in ("one", "two")]
    pipeline.run(stages, Path(sys.argv[1]), workers=workers, jobs=jobs)
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_on_a_terminal_several_workers_write_lines_and_no_bars(tmp_path: Path, jobs: int) -> None:
    read, write_to = pty.openpty()
    shown = bytearray()

    def drain() -> None:
        try:
            while part := os.read(read, 1000):
                shown.extend(part)
        except OSError:  # how Linux says that the other side is closed
            return

    reader = threading.Thread(target=drain)
    reader.start()
    here = os.pathsep.join(
        [str(Path(__file__).parent), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    )
    done = subprocess.run(
        [sys.executable, "-c", ON_A_TERMINAL, str(tmp_path), str(jobs)],
        stderr=write_to,
        timeout=LIMIT_SECONDS,
        env={**os.environ, "PYTHONPATH": here, "TERM": "xterm"},
    )
    os.close(write_to)
    reader.join()
    os.close(read)
    text = shown.decode()
    assert done.returncode == 0, text
    assert text.count("counting: 3/3") == (2 if jobs > 1 else 0)
    assert ("\x1b[" in text) == (jobs == 1), "a bar moves the cursor, a line does not"


# --- the command, killed and interrupted ------------------------------------------------------------------------------

RECIPE = """
import os, time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from qalign.pipeline import Stage
from qalign.systems.artifacts import Model

@dataclass(frozen=True, eq=False, kw_only=True)
class Sleep(Stage[Model]):
    def run(self, work):
        while True:
            (work.scratch / "beat.txt").write_text(f"{os.getpid()} {time.time_ns()}")
            time.sleep(0.05)

@dataclass(frozen=True, eq=False, kw_only=True)
class Top(Stage[Model]):
    parts: Mapping
    def run(self, work):
        pass

def system(study):
    return Top(name="top", parts={name: Sleep(name=f"sleeps-{name}") for name in ("a", "b")})
"""


def asleep(runs: Path) -> list[int]:
    """The workers that run a stage of the recipe, by their beats."""
    beats = [path.read_text().split() for path in runs.glob("stages/sleeps-*.partial/scratch/beat.txt")]
    return [int(beat[0]) for beat in beats if len(beat) == 2]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent to look does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def sleeping(own_data: OwnData, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path, list[int]]]:
    """`qalign run` with two workers at work and an idle one, its folder of runs, and the two."""
    (tmp_path / "sleeping_recipe.py").write_text(RECIPE)
    runs = tmp_path / "runs"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "qalign", "run", "sleeping_recipe:system", "--jobs", str(JOBS + 1)),
            *("--test", str(own_data.test), "--test-languages", "de,en", "--runs", str(runs)),
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(
            "the work of both workers",
            lambda: (
                process.poll() is not None
                or (len(asleep(runs)) == JOBS and list(runs.glob(f"stages/corpus-own-test-????????/{RECORD}")))
            ),
        )
        assert process.poll() is None, process.communicate()
        yield process, runs, asleep(runs)
    finally:
        for pid in (process.pid, *asleep(runs)):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=LIMIT_SECONDS)


Sleeping = tuple[subprocess.Popen[str], Path, list[int]]


def test_no_worker_outlives_a_run_that_is_killed(sleeping: Sleeping) -> None:
    process, runs, pids = sleeping
    assert len(set(pids)) == JOBS
    assert all(alive(pid) for pid in pids)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(timeout=LIMIT_SECONDS) == -signal.SIGKILL
    wait_for("the end of the workers", lambda: not any(alive(pid) for pid in pids))
    assert not (runs / "results").exists()
    # Nobody holds a lock or writes there any more: the next run goes on from what was kept.
    with open_workers(JOBS) as pool:
        log = run(runs, pool, *(Sleep(name=f"sleeps-{name}") for name in ("a", "b")))
    assert sorted(log.names("resuming")) == ["sleeps-a", "sleeps-b"]
    assert unfinished(runs) == []


@dataclass(frozen=True, eq=False, kw_only=True)
class Sleep(Stage[Model]):
    """The recipe's kind by name, which ends at once."""

    def run(self, work: Work) -> None:
        (work.output / "out.txt").write_text((work.scratch / "beat.txt").read_text())


@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["to all", "to one"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_its_workers_with_one_line(
    sleeping: Sleeping, number: signal.Signals, send: Callable[[int, int], None]
) -> None:
    """A terminal and Slurm send it to all processes of the run, `kill` and other programs to one."""
    process, runs, pids = sleeping
    send(process.pid, number)
    _, err = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 130, err
    assert "Traceback" not in err, err
    assert err.splitlines()[-1] == "qalign: interrupted; give the same command again to go on"
    wait_for("the end of the workers", lambda: not any(alive(pid) for pid in pids))
    kept = [sorted(p.name for p in path.iterdir()) for path in (runs / "stages").glob("sleeps-*.partial")]
    assert kept == [["scratch"]] * JOBS


def test_a_row_that_cannot_be_used_is_one_line_from_a_worker_too(tmp_path: Path) -> None:
    data = write_own_data(tmp_path / "data")
    file = data.questions / "de.jsonl"
    file.write_text(re.sub(r'("question": )"[^"]*"', r'\1""', file.read_text(), count=1))
    words: Sequence[str | Path] = (
        *("run", "qalign-mono", "--base", "tiny", "--scale", "sample", "--languages", "de", "--jobs", "2"),
        *data.options("questions", "english", "test"),
        *("--runs", tmp_path / "runs"),
    )
    done = subprocess.run(
        [sys.executable, "-m", "qalign", *map(str, words)], capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("qalign: error: ")
    assert "de.jsonl" in last
    assert "'question' is empty; fix it, or have such rows dropped and listed: --set data.drop_invalid=true" in last
    assert "Traceback" not in done.stderr
    assert unfinished(tmp_path / "runs") == []
