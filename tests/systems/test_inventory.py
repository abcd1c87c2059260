"""`qalign runs` and `qalign runs remove`: what is there, what a run needs, and that nothing else is ever removed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from own_data import OwnData
from qalign.cli import app
from qalign.systems.inventory import inventory
from qalign.systems.run_records import read_records, recorded


def qalign(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def measure(place: Path, own_data: OwnData, model: str, *words: str) -> None:
    """Measures a scripted model on the own test set: a shared corpus, answers and scores of its own."""
    (place / model).mkdir(exist_ok=True)
    (place / model / "script.json").write_text(json.dumps({"answers": {}, "otherwise": f"The answer is {len(model)}."}))
    given = ["eval", place / model, "--scale", "sample", "--set", "generation.backend=scripted", "--quiet"]
    given += [*own_data.options("test"), "--test-languages", "en", "--runs", place / "runs", *words]
    code, _, said = qalign(*given)
    assert code == 0, said


@pytest.fixture(scope="module")
def two(own_data: OwnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two measured models; results of the second lie elsewhere. Not to be written to."""
    place = tmp_path_factory.mktemp("two")
    measure(place, own_data, "first")
    measure(place, own_data, "second", "--output", str(place / "mine"))
    return place


@pytest.fixture
def runs(two: Path, tmp_path: Path) -> Path:
    """A copy of the folder of runs."""
    return shutil.copytree(two / "runs", tmp_path / "runs")


def stages(runs: Path) -> set[str]:
    """The names of the folders of stages, without hashes."""
    return {
        f"{path.name.rpartition('-')[0]}{path.suffix}" for path in (runs / "stages").iterdir() if path.name[0] != "."
    }


def name_of(runs: Path, system: str) -> str:
    (record,) = [record for record in read_records(runs, {}) if record.systems == [system]]
    return record.name


def test_each_run_is_a_row_with_what_it_was_and_its_size(two: Path) -> None:
    code, out, _ = qalign("runs", "--runs", two / "runs")
    assert code == 0
    found = inventory(two / "runs")
    assert [run.systems for run in found.runs] == [["first"], ["second"]]
    assert {run.state for run in found.runs} == {"finished"}
    for run in found.runs:
        assert run.name in out
        assert found.bytes_of(run) > 1000
    for said in ("sample", "seed 1234", "generation.backend=scripted", "finished", str(two / "mine")):
        assert said in out.replace("\n", ""), said
    assert "no run needs" not in out
    corpus = next(s for s in found.stages if s.stage.startswith("corpus-"))
    assert corpus.bytes == sum(path.stat().st_size for path in corpus.path.iterdir())


def test_a_removed_run_frees_what_no_other_run_needs(runs: Path) -> None:
    name = name_of(runs, "first")
    code, out, said = qalign("runs", "remove", name, "--yes", "--runs", runs)
    assert code == 0, said
    assert "Freed" in out and "generate-own" in out and "score-own" in out
    assert "corpus-own-test" not in out, "the other run needs it"
    assert len([path for path in (runs / "stages").iterdir() if path.name.startswith("score-")]) == 1
    assert not (runs / "results" / name).exists()
    assert [run.systems for run in inventory(runs).runs] == [["second"]]
    assert stages(runs) == {"corpus-own-test", "generate-own", "score-own"}


def test_results_elsewhere_are_kept(runs: Path, two: Path) -> None:
    code, out, _ = qalign("runs", "remove", two / "mine", "--yes", "--runs", runs)
    assert code == 0
    assert f"are kept: {two / 'mine'}" in out.replace("\n", " ")
    assert (two / "mine/results.json").is_file()
    assert [run.systems for run in inventory(runs).runs] == [["first"]]


def test_the_last_run_takes_everything_with_it(runs: Path, two: Path) -> None:
    code, _, said = qalign("runs", "remove", name_of(runs, "first"), name_of(runs, "second"), "--yes", "--runs", runs)
    assert code == 0, said
    assert stages(runs) == set()
    assert "There are no runs" in qalign("runs", "--runs", runs)[1]


def test_unneeded_stages_and_leftovers_go_and_needed_ones_stay(runs: Path) -> None:
    before = stages(runs)
    (score,) = list((runs / "stages").glob("score-*"))[:1]
    for extra in ("train-x-12345678", "train-y-12345678.partial", "train-z-12345678.adopting", f"{score.name}.partial"):
        (runs / "stages" / extra).mkdir()
        (runs / "stages" / extra / "weights").write_bytes(b"x" * 5000)
    shutil.copy(score / "stage.json", runs / "stages/train-x-12345678/stage.json")
    (runs / "logs/train-x-12345678").mkdir(parents=True)
    (runs / "stages/notes").mkdir()
    (runs / "stages/by-hand-12345678").mkdir()
    _, out, _ = qalign("runs", "--runs", runs)
    for said in (
        "train-x-12345678",
        "train-y-12345678.partial",
        "train-z-12345678.adopting",
        "Stages that no run needs",
    ):
        assert said in out
    code, out, said = qalign("runs", "remove", "--unneeded", "--yes", "--runs", runs)
    assert code == 0, said
    assert stages(runs) == before | {"notes".rpartition("-")[0], "by-hand"}
    assert (runs / "stages/notes").is_dir(), "what no stage made is left alone"
    assert not (runs / "logs/train-x-12345678").exists()
    assert "nothing to remove" in qalign("runs", "remove", "--unneeded", "--yes", "--runs", runs)[1]


def test_an_interrupted_run_says_what_is_missing_and_keeps_what_it_goes_on_from(runs: Path) -> None:
    name = name_of(runs, "first")
    (run,) = [run for run in inventory(runs).runs if run.name == name]
    record = json.loads((runs / "records" / f"{name}.json").read_text())
    (generate,) = [stage for stage in record["stages"] if stage.startswith("generate-")]
    (score,) = [stage for stage in record["stages"] if stage.startswith("score-")]
    shutil.rmtree(runs / "results" / name)
    shutil.rmtree(runs / "stages" / score)
    (runs / "stages" / generate).rename(runs / "stages" / f"{generate}.partial")
    (run,) = [run for run in inventory(runs).runs if run.name == name]
    assert run.state == f"interrupted: 2 of 3 stages missing: {generate} (partial), {score}"
    assert "nothing to remove" in qalign("runs", "remove", "--unneeded", "--yes", "--runs", runs)[1]
    assert (runs / "stages" / f"{generate}.partial").is_dir()
    assert qalign("runs", "remove", name, "--yes", "--runs", runs)[0] == 0
    assert not (runs / "stages" / f"{generate}.partial").exists()


def test_a_killed_run_is_known_by_its_record(
    own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qalign.systems.kinds import Judge

    def killed(stage: Judge, work: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Judge, "run", killed)
    with pytest.raises(AssertionError):
        measure(tmp_path, own_data, "first")
    (run,) = inventory(tmp_path / "runs").runs
    assert run.state.startswith("interrupted: 1 of 3 stages missing: score-own-")
    assert not (tmp_path / "runs/results").exists()


def test_without_a_terminal_and_without_yes_nothing_is_removed(runs: Path) -> None:
    code, out, said = qalign("runs", "remove", name_of(runs, "first"), "--runs", runs)
    assert code == 2
    assert "This frees" in out and "give --yes" in said
    assert len(inventory(runs).runs) == 2 and len(inventory(runs).stages) == 5


@pytest.mark.parametrize(("answer", "left"), [("y", 1), ("n", 2), ("", 2)])
def test_in_a_terminal_it_asks(answer: str, left: int, runs: Path) -> None:
    leader, follower = pty.openpty()
    words = [sys.executable, "-m", "qalign", "runs", "remove", name_of(runs, "first"), "--runs", str(runs)]
    process = subprocess.Popen(words, stdin=follower, stdout=subprocess.PIPE, stderr=follower)
    os.write(leader, f"{answer}\n".encode())
    out, _ = process.communicate(timeout=60)
    os.close(follower)
    os.close(leader)
    assert b"This frees" in out
    assert len(inventory(runs).runs) == left
    assert process.returncode == (0 if answer == "y" else 2)


def test_links_out_of_the_folder_are_not_followed(runs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x" * 10**6)
    (score,) = list((runs / "stages").glob("score-*"))[:1]
    shutil.copy(score / "stage.json", outside / "stage.json")
    (runs / "stages/train-x-12345678").symlink_to(outside, target_is_directory=True)
    (runs / "stages/train-y-12345678.partial").mkdir()
    (runs / "stages/train-y-12345678.partial/deep").symlink_to(outside, target_is_directory=True)
    name = name_of(runs, "first")
    shutil.rmtree(runs / "results" / name)
    (runs / "results" / name).symlink_to(outside, target_is_directory=True)
    assert sum(stage.bytes for stage in inventory(runs).stages) < 10**6
    assert qalign("runs", "remove", name, "--unneeded", "--yes", "--runs", runs)[0] == 0
    assert (outside / "precious").stat().st_size == 10**6
    assert (runs / "stages/train-x-12345678").is_symlink()
    assert not (runs / "stages/train-y-12345678.partial").exists()
    (runs / "stages").rename(outside / "stages")
    (runs / "stages").symlink_to(outside / "stages", target_is_directory=True)
    code, _, said = qalign("runs", "remove", "--unneeded", "--yes", "--runs", runs)
    assert (code, "is a symbolic link" in said) == (2, True)


def test_a_stage_that_a_process_works_on_stays(runs: Path) -> None:
    name = name_of(runs, "first")
    record = json.loads((runs / "records" / f"{name}.json").read_text())
    (score,) = [stage for stage in record["stages"] if stage.startswith("score-")]
    with FileLock(runs / "stages/.locks" / f"{score}.lock"):
        code, _, said = qalign("runs", "remove", name, "--yes", "--runs", runs)
    assert code == 0
    assert f"kept: {score}: a process uses it" in said
    assert (runs / "stages" / score / "stage.json").is_file()


def test_nothing_goes_while_a_command_that_is_no_run_makes_a_stage(runs: Path) -> None:
    (runs / "stages/train-y-12345678.partial").mkdir()
    with FileLock(runs / "stages/.locks/train-world-base-12345678.lock"):
        code, _, said = qalign("runs", "remove", "--unneeded", "--yes", "--runs", runs)
    assert code == 2 and "train-world-base-12345678 is being made now" in said
    assert qalign("runs", "remove", "--unneeded", "--yes", "--runs", runs)[0] == 0


def test_a_running_run_is_not_removed_and_one_that_was_killed_is(runs: Path) -> None:
    name = name_of(runs, "first")
    (record,) = [record for record in read_records(runs, {}) if record.name == name]
    with recorded(record, runs):
        assert "running" in [run.state for run in inventory(runs).runs]
        code, _, said = qalign("runs", "remove", name, "--yes", "--runs", runs)
        assert code == 2 and f"{name} is running" in said
    (runs / "records" / f".{name}.0.running").touch()  # the mark of a process that was killed
    assert qalign("runs", "remove", name, "--yes", "--runs", runs)[0] == 0
    assert not list((runs / "records").glob(".*.running"))


def test_results_of_an_earlier_version_keep_their_stages(runs: Path) -> None:
    shutil.rmtree(runs / "records")
    found = inventory(runs)
    (run,) = found.runs
    assert run.systems == ["first"] and run.state == "finished"
    assert {stage.stage for stage in found.stages} <= set(run.stages or ()), "the corpus, and all that was made with it"
    assert "nothing to remove" in qalign("runs", "remove", "--unneeded", "--yes", "--runs", runs)[1]


def test_a_broken_record_is_a_row_and_stands_in_the_way(runs: Path) -> None:
    name = name_of(runs, "first")
    (runs / "records" / f"{name}.json").write_text('{"version": 1')
    code, out, _ = qalign("runs", "--runs", runs)
    assert code == 0 and "cannot be read" in out
    (runs / "stages/train-y-12345678.partial").mkdir()
    code, _, said = qalign("runs", "remove", "--unneeded", "--yes", "--runs", runs)
    assert code == 2 and f"which stages {name} needs" in said
    assert qalign("runs", "remove", name, "--unneeded", "--yes", "--runs", runs)[0] == 0
    assert [run.systems for run in inventory(runs).runs] == [["second"]]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("remove", "nope"), "there is no run 'nope'"),
        (("remove",), "nothing is named"),
        (("remove", "../../x"), "there is no run"),
        (("remove", "x\x1b[31m"), "there is no run"),
    ],
)
def test_a_wrong_name_is_one_line(words: tuple[str, ...], says: str, runs: Path) -> None:
    code, out, said = qalign("runs", *words, "--runs", runs)
    assert (code, out) == (2, "")
    assert says in said and len(said.splitlines()) == 1 and "\x1b" not in said


def test_the_folder_can_stand_before_or_behind_the_verb(runs: Path) -> None:
    name = name_of(runs, "first")
    assert qalign("runs", "--runs", runs, "remove", name, "--yes")[0] == 0
    assert [run.systems for run in inventory(runs).runs] == [["second"]]
    code, _, said = qalign("runs", "--runs", runs / "nothing")
    assert code == 2 and "is not a folder of runs" in said


def test_a_hostile_record_leads_nowhere(runs: Path, tmp_path: Path) -> None:
    name = name_of(runs, "first")
    path = runs / "records" / f"{name}.json"
    record = json.loads(path.read_text())
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/results.json").write_text("{}")
    path.write_text(json.dumps({**record, "results": str(tmp_path / "outside")}))
    assert qalign("runs", "remove", name, "--yes", "--runs", runs)[0] == 0
    assert (tmp_path / "outside/results.json").is_file()
    path.write_text(json.dumps({**record, "stages": {"../../outside": []}}))
    assert "cannot be read" in qalign("runs", "--runs", runs)[1]
    for damage in (
        {"began": 1e300},
        {"systems": ["\x1b[31m"]},
        {"run": {"base": [], "settings": "x"}},
        {"results": "/\0"},
    ):
        path.write_text(json.dumps({**record, **damage}))
        (runs / "results" / name / "results.json").unlink(missing_ok=True)
        code, out, _ = qalign("runs", "--runs", runs)
        assert code == 0 and "\x1b" not in out and name in out, damage
    for text in ("[]", "{", "null", "[" * 10**5, json.dumps({**record, "name": "other"})):
        path.write_text(text)
        assert "cannot be read" in qalign("runs", "--runs", runs)[1], text[:20]
    os.mkfifo(runs / "records/pipe.json")
    (runs / "results/odd").mkdir()
    os.mkfifo(runs / "results/odd/results.json")
    assert qalign("runs", "--runs", runs)[0] == 0


def test_the_rows_fit_a_narrow_terminal(two: Path) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    words = [sys.executable, "-m", "qalign", "runs", "--runs", "runs"]
    process = subprocess.Popen(words, stdout=follower, stderr=subprocess.STDOUT, stdin=follower, cwd=two)
    os.close(follower)
    out = b""
    with contextlib.suppress(OSError):
        while part := os.read(leader, 4096):
            out += part
    os.close(leader)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.decode())
    for run in inventory(two / "runs").runs:
        assert run.name in text, "a name is never broken: it is typed again"
    assert max(map(len, text.replace("\r", "").splitlines()[:20])) <= 80
