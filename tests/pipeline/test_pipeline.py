"""Stages without any machine learning: what a fingerprint is made of, what runs again and what does not, and that no
exception, kill or full disk leaves anything that looks finished."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qalign import pipeline
from qalign.errors import DataError, StageError
from qalign.fingerprints import canonical, sealed, unsealed
from qalign.pipeline import Artifact, Stage, Work, stage_record
from steps import Step, Task


def write_name(work: Task) -> None:
    """A stage's function: one file with what the stage was given."""
    held = [(folder / "out.txt").read_text() for folder in work.inputs.values()]
    (work.output / "out.txt").write_text(f"{work.config} {held}")


def stage(
    name: str, config: Mapping[str, Any] | None = None, function: Callable[[Task], None] = write_name, **inputs: Stage
) -> Stage:
    return Step(name, 1, config or {}, function, inputs)


class Log:
    """Counts what a run does, by event and by name of the stage."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def __call__(self, event: str, stage: Stage) -> None:
        self.events.append((event, stage.name))

    def ran(self) -> list[str]:
        return [name for event, name in self.events if event in ("running", "resuming")]


def run(runs: Path, *targets: Stage) -> Log:
    log = Log()
    pipeline.run(targets, runs, on_event=log)
    return log


def left_over(runs: Path) -> list[str]:
    """All that stands in the folder of stages, but for finished ones, locks and scratch that a run goes on from."""
    files = [path.relative_to(runs / "stages") for path in (runs / "stages").rglob("*") if path.is_file()]
    return [
        str(path)
        for path in files
        if path.parts[0] != ".locks"
        and not (runs / "stages" / path.parts[0] / stage_record.RECORD).is_file()
        and path.parts[1] != stage_record.SCRATCH
    ]


# --- fingerprints -----------------------------------------------------------------------------------------------------


def test_the_order_of_keys_is_no_difference() -> None:
    one = stage("s", {"a": 1, "b": {"c": [1, 2.5, None, True], "d": "ü"}})
    other = stage("s", {"b": {"d": "ü", "c": [1, 2.5, None, True]}, "a": 1})
    assert one.fingerprint == other.fingerprint
    assert one.folder_name == f"s-{one.fingerprint[:8]}"
    first, second = stage("x"), stage("y")
    assert stage("s", a=first, b=second).fingerprint == stage("s", b=second, a=first).fingerprint
    assert stage("s", a=first, b=second).fingerprint != stage("s", a=second, b=first).fingerprint


def test_a_fingerprint_does_not_change_between_versions() -> None:
    """Pinned: if this fails, every folder of every user is made again. Then raise the versions of stages on purpose."""
    made = Step("train", 2, {"rate": 2e-05, "text": "naïve 十"}, None, {"model": Step("base", 1, {"n": 1}, None)})
    assert canonical(made.config) == '{"rate":2e-05,"text":"naïve 十"}'
    assert made.fingerprint == "9d44e6d553001c7a4958fd1e89d9e0922d5292c6e1f19b904f8e323f1bcb4362"


@pytest.mark.parametrize(
    "changed",
    [
        Step("other", 1, {"a": 1}, write_name),
        Step("s", 2, {"a": 1}, write_name),
        Step("s", 1, {"a": 2}, write_name),
        Step("s", 1, {"a": 1.0}, write_name),
        Step("s", 1, {"a": True}, write_name),
        Step("s", 1, {"a": "1"}, write_name),
        Step("s", 1, {"a": 1, "b": None}, write_name),
        Step("s", 1, {"a": 1}, write_name, {"x": Step("x", 1, {}, write_name)}),
    ],
)
def test_every_part_of_the_identity_counts(changed: Stage) -> None:
    assert changed.fingerprint != Step("s", 1, {"a": 1}, write_name).fingerprint


def test_an_input_of_an_input_counts() -> None:
    def chain(value: int) -> Stage:
        return stage("c", None, write_name, x=stage("b", None, write_name, x=stage("a", {"value": value})))

    assert chain(1).fingerprint == chain(1).fingerprint != chain(2).fingerprint


def test_where_things_are_is_not_in_the_fingerprint() -> None:
    plain = Step("s", 1, {"a": 1}, write_name)
    assert Step("s", 1, {"a": 1}, write_name, local={"path": Path("/anywhere")}).fingerprint == plain.fingerprint
    assert Step("s", 1, {"a": 1}, None, given=Path("/elsewhere")).fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": {"file": Path("x")}}, r"config\.a\.file is a path, .*put it in `local` and its hash in config"),
        ({"a": [1, {2, 3}]}, r"config\.a\[1\] is a set; use text, finite numbers, null, lists and mappings"),
        ({"a": float("nan")}, r"config\.a is nan; use text, finite numbers, null"),
        ({"a": float("-inf")}, r"config\.a is -inf; use text, finite numbers"),
        ({"a": {1: "x"}}, r"config\.a has the key 1; use text for keys"),
        ({"a": b"x"}, r"config\.a is a bytes; use text"),
    ],
)
def test_what_cannot_be_written_canonically_is_refused_with_advice(value: Any, says: str) -> None:
    with pytest.raises(StageError, match=says):
        _ = stage("s", value).fingerprint


@dataclass(frozen=True, eq=False, kw_only=True)
class _Next(Stage):
    before: Stage[Artifact]

    def run(self, work: Work) -> None:
        raise AssertionError("no test runs this stage")


@pytest.mark.parametrize("value", [None, "model", Path("model")])
def test_what_is_no_stage_is_no_input(value: Any) -> None:
    assert _Next(name="next", before=stage("s")).inputs["before"].name == "s"
    with pytest.raises(StageError, match=r"'before' of stage 'next' is .*; it has to be a stage"):
        _ = _Next(name="next", before=value).fingerprint


# --- running ----------------------------------------------------------------------------------------------------------


def diamond(left: int = 1, top: int = 1) -> dict[str, Stage]:
    """top -> left, right -> bottom; and aside, which needs right only."""
    a = stage("top", {"value": top})
    b, c = stage("left", {"value": left}, x=a), stage("right", x=a)
    return {"top": a, "left": b, "right": c, "bottom": stage("bottom", x=b, y=c), "aside": stage("aside", x=c)}


def test_a_shared_stage_runs_once_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    made = diamond()
    assert run(tmp_path, made["bottom"], made["aside"]).ran() == ["top", "left", "right", "bottom", "aside"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "stages").rglob("*")}
    again = diamond()  # new objects, as in a new process
    assert run(tmp_path, again["bottom"], again["aside"]).ran() == []
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "stages").rglob("*")}


def test_stages_equal_in_identity_run_once_though_they_are_two_objects(tmp_path: Path) -> None:
    assert run(tmp_path, diamond()["bottom"], diamond()["aside"]).ran() == ["top", "left", "right", "bottom", "aside"]


def test_a_changed_value_reruns_exactly_its_descendants(tmp_path: Path) -> None:
    run(tmp_path, *diamond().values())
    assert run(tmp_path, *diamond(left=2).values()).ran() == ["left", "bottom"]
    assert run(tmp_path, *diamond(top=2).values()).ran() == ["top", "left", "right", "bottom", "aside"]
    assert run(tmp_path, *diamond().values()).ran() == []  # going back finds what is there


def test_the_record_says_how_a_stage_was_made(tmp_path: Path) -> None:
    made = diamond()
    run(tmp_path, made["bottom"])
    record = json.loads((made["bottom"].folder(tmp_path) / "stage.json").read_text())
    assert record["identity"] == {
        "kind": "_Step",
        "name": "bottom",
        "version": 1,
        "config": {},
        "inputs": {"x": made["left"].fingerprint, "y": made["right"].fingerprint},
    }
    assert record["inputs"] == {"x": made["left"].folder_name, "y": made["right"].folder_name}
    assert list(record["files"]) == ["out.txt"]
    assert record["adopted_from"] is None
    assert record["versions"]["qalign"]
    assert record["versions"]["python"]


def test_a_given_result_never_runs(tmp_path: Path) -> None:
    given = tmp_path / "model"
    given.mkdir()
    (given / "out.txt").write_text("given")
    base = Step("base", 1, {"sha256": "0"}, None, given=given)
    user = stage("user", x=base)
    assert run(tmp_path, user).ran() == ["user"]
    assert "given" in (user.folder(tmp_path) / "out.txt").read_text()


# --- exceptions, kills, full disks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ValueError, DataError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing_half_written(tmp_path: Path, kind: type[BaseException]) -> None:
    def fails(work: Task) -> None:
        (work.output / "half.txt").write_text("half")
        (work.output / "folder").mkdir()
        (work.output / "folder" / "half.txt").write_text("half")
        raise kind("on purpose")

    first = stage("first")
    broken = stage("broken", None, fails, x=first)
    with pytest.raises(kind, match="on purpose"):
        run(tmp_path, broken)
    assert pipeline.status(first, tmp_path) == "done"
    assert pipeline.status(broken, tmp_path) == "to run"
    assert left_over(tmp_path) == []
    assert not list((tmp_path / "stages").glob("broken-*"))
    mended = stage("broken", x=stage("first"))
    assert run(tmp_path, mended).ran() == ["broken"]


def test_scratch_survives_an_interruption_and_is_gone_at_the_end(tmp_path: Path) -> None:
    def counts(work: Task) -> None:
        kept = work.scratch / "count.txt"
        so_far = int(kept.read_text()) if kept.is_file() else 0
        assert not [path for path in work.output.iterdir() if path != work.scratch], "the output folder is empty"
        (work.output / "half.txt").write_text(str(so_far))
        kept.write_text(str(so_far + 1))
        if so_far < 2:
            raise RuntimeError("interrupted")
        (work.output / "out.txt").write_text(str(so_far))
        (work.output / "half.txt").unlink()

    made = stage("counts", None, counts)
    for attempt in range(2):
        with pytest.raises(RuntimeError):
            run(tmp_path, made)
        assert pipeline.status(made, tmp_path) == "interrupted"
        assert left_over(tmp_path) == []
        partial = tmp_path / "stages" / f"{made.folder_name}.partial"
        assert (partial / "scratch" / "count.txt").read_text() == str(attempt + 1)
        assert [path.name for path in partial.iterdir()] == ["scratch"]
    log = run(tmp_path, made)
    assert ("resuming", "counts") in log.events
    assert sorted(path.name for path in made.folder(tmp_path).iterdir()) == ["out.txt", "stage.json"]
    assert not partial.exists()


CHILD = """
import json, os, signal, sys, time
from pathlib import Path
from qalign import pipeline
from qalign.errors import StageError
from steps import Step

runs, what = Path(sys.argv[1]), sys.argv[2]

def first(work):
    (work.output / "out.txt").write_text("first")

def second(work):
    kept = work.scratch / "kept.txt"
    if what == "kill" and not kept.exists():
        (work.output / "half.txt").write_text("half")
        kept.write_text("kept")
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "slow":
        with (runs / "calls.txt").open("a") as file:
            file.write("call\\n")
        time.sleep(1.0)
    if what == "large":
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        try:
            (work.output / "large.bin").write_bytes(b"0" * 5000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if what == "fill":
        (work.output / "large.bin").write_bytes(b"0" * 3_000_000)
    (work.output / "out.txt").write_text(kept.read_text() if kept.exists() else "whole")

made = Step("second", 1, {}, second, {"x": Step("first", 1, {}, first)})
events = []
try:
    pipeline.run([made], runs, on_event=lambda event, stage: events.append([event, stage.name]))
except StageError as error:
    print("StageError:", error)
    sys.exit(2)
print(json.dumps(events))
"""


def child(runs: Path, what: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(runs), what]
    here = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": here}
    )


def only(runs: Path, name: str) -> Path:
    """The one folder of a stage, by its name."""
    (found,) = [path for path in (runs / "stages").glob(f"{name}-*") if not path.name.endswith(".partial")]
    return found


def test_a_run_that_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    killed = child(tmp_path, "kill")
    killed.communicate(timeout=30)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "stages").glob("second-*")] == [
        next((tmp_path / "stages").glob("second-*.partial")).name
    ]
    again = child(tmp_path, "kill")
    out, err = again.communicate(timeout=30)
    assert again.returncode == 0, err
    assert json.loads(out) == [["done", "first"], ["resuming", "second"], ["finished", "second"]]
    folder = only(tmp_path, "second")
    assert (folder / "out.txt").read_text() == "kept"
    assert sorted(path.name for path in folder.iterdir()) == ["out.txt", "stage.json"]
    assert not list((tmp_path / "stages").glob("*.partial"))


def test_two_processes_at_once_do_a_stage_once(tmp_path: Path) -> None:
    tmp_path.mkdir(exist_ok=True)
    both = [child(tmp_path, "slow"), child(tmp_path, "slow")]
    outs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert (tmp_path / "calls.txt").read_text() == "call\n"
    events = [[tuple(event) for event in json.loads(out)] for out, _ in outs]
    assert sorted(("finished", "second") in own for own in events) == [False, True]
    assert any(("waiting", "second") in own or ("done", "second") in own for own in events)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    def full(work: Task) -> None:
        (work.output / "half.txt").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(
        StageError, match=r"the disk is full .*free some space .*--runs, then run the same command again"
    ):
        run(tmp_path, stage("full", None, full))
    assert left_over(tmp_path) == []
    assert not list((tmp_path / "stages").glob("full-*"))


def test_an_error_of_a_library_that_means_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    def full(work: Task) -> None:
        raise RuntimeError("I/O error: No space left on device (os error 28)")  # as safetensors says it

    with pytest.raises(StageError, match="the disk is full"):
        run(tmp_path, stage("full", None, full))


def test_a_disk_that_only_the_output_fills_is_told_as_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library says nothing of a disk, and removing the half-made output frees it again."""

    def full(work: Task) -> None:
        (work.output / "half.txt").write_text("half")
        raise RuntimeError("unexpected pos 64 vs 0")  # as torch.save says it

    def usage(path: Path) -> SimpleNamespace:
        return SimpleNamespace(free=0 if list(tmp_path.rglob("half.txt")) else 2**30)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(StageError, match=r"the disk is full \(0 MiB free"):
        run(tmp_path, stage("full", None, full))


def test_a_file_that_ends_too_early_is_one_line(tmp_path: Path) -> None:
    """The command line would say "Aborted!", as it does after Ctrl-C."""

    def early(work: Task) -> None:
        raise EOFError("Compressed file ended before the end-of-stream marker was reached")

    with pytest.raises(StageError, match=r"a file that is read ends too early \(Compressed file ended"):
        run(tmp_path, stage("early", None, early))


def test_a_file_over_the_size_limit_is_told_as_a_full_disk(tmp_path: Path) -> None:
    large = child(tmp_path, "large")
    out, err = large.communicate(timeout=30)
    assert large.returncode == 2, err
    assert "the disk is full" in out
    assert len(out.splitlines()) == 1
    assert not list((tmp_path / "stages").glob("second-*"))


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    command = shutil.which("mount")
    if command is None:
        pytest.skip("there is no command `mount` here to make a small disk with")
    mounted = subprocess.run([command, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        full = child(mount, "fill")
        out, err = full.communicate(timeout=30)
        assert full.returncode == 2, err
        assert "the disk is full" in out
        assert not list((mount / "stages").glob("second-*"))
        assert only(mount, "first").is_dir()
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StageError, match=r"cannot write to the folder of runs .*; give another with --runs"):
        run(tmp_path / "file", stage("s"))


# --- finished folders that were touched -------------------------------------------------------------------------------


def edited(folder: Path) -> str:
    path = folder / "out.txt"
    text = path.read_text()
    path.write_text(text[::-1])  # the same size
    os.utime(path, ns=(1, 1))
    return r"out\.txt was edited after the stage was finished"


def longer(folder: Path) -> str:
    with (folder / "out.txt").open("a") as file:
        file.write("!")
    return r"out\.txt was edited after the stage was finished"


def added(folder: Path) -> str:
    (folder / "new").mkdir()
    (folder / "new" / "stray.txt").write_text("stray")
    return r"new/stray\.txt was added to a finished stage"


def removed(folder: Path) -> str:
    (folder / "out.txt").unlink()
    return r"out\.txt is missing from a finished stage"


def record_edited(folder: Path) -> str:
    path = folder / "stage.json"
    path.write_text(path.read_text().replace('"value": 1', '"value": 2'))
    return r"stage\.json is not what its stage left .*does not have the hash that was written with it"


def record_of_another_stage(folder: Path) -> str:
    path = folder / "stage.json"
    record = unsealed(json.loads(path.read_text()))
    record["identity"]["config"]["value"] = 2
    path.write_text(json.dumps(sealed(record)))
    return r"stage\.json was edited: it does not describe this stage any more"


def record_broken(folder: Path) -> str:
    (folder / "stage.json").write_text("{")
    return r"stage\.json is not what its stage left .*remove the folder to make it again"


@pytest.mark.parametrize(
    "change",
    [
        edited, longer, added, removed, record_edited, record_of_another_stage, record_broken
    ],
)  # fmt: skip
def test_a_finished_folder_that_was_changed_by_hand_is_refused(tmp_path: Path, change: Callable[[Path], str]) -> None:
    made = stage("s", {"value": 1})
    run(tmp_path, made)
    says = change(made.folder(tmp_path))
    user = stage("user", x=made)
    with pytest.raises(StageError, match=says) as caught:
        run(tmp_path, user)
    assert str(made.folder(tmp_path)) in str(caught.value)
    assert "rm -r" in str(caught.value) or "remove the folder" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert pipeline.status(user, tmp_path) == "to run"
    shutil.rmtree(made.folder(tmp_path))  # what the message advises
    assert run(tmp_path, user).ran() == ["s", "user"]


def test_a_touched_file_of_the_same_content_is_accepted(tmp_path: Path) -> None:
    made = stage("s", {"value": 1})
    run(tmp_path, made)
    os.utime(made.folder(tmp_path) / "out.txt", ns=(time.time_ns(), time.time_ns()))
    assert run(tmp_path, made).ran() == []


def test_a_moved_folder_of_runs_is_as_good(tmp_path: Path) -> None:
    run(tmp_path / "here", *diamond().values())
    shutil.copytree(tmp_path / "here", tmp_path / "there")  # new times, same content
    assert run(tmp_path / "there", *diamond().values()).ran() == []


# --- explain and adopt ------------------------------------------------------------------------------------------------


def test_explain_names_the_field(tmp_path: Path) -> None:
    first = stage("train", {"training": {"rate": 0.1, "epochs": 3}, "prompt": ["a", "b"]}, x=stage("data", {"n": 1}))
    assert pipeline.explain(first, tmp_path) == [f"{first.folder_name} is new: no stage named train has been run"]
    run(tmp_path, first)
    assert pipeline.explain(first, tmp_path) == [f"{first.folder_name} is done"]
    other = stage("train", {"training": {"rate": 0.2, "epochs": 3}, "prompt": ["a", "b"]}, x=stage("data", {"n": 1}))
    beside = f"{other.folder_name} is new versus {first.folder_name}"
    assert pipeline.explain(other, tmp_path) == [f"{beside}: config.training.rate 0.1 -> 0.2"]

    more = stage("train", {"training": {"rate": 0.1, "adapter": "on"}, "prompt": ["a", "c"]}, x=stage("data", {"n": 2}))
    told = "\n".join(pipeline.explain(more, tmp_path))
    assert "config.training.epochs is gone (was 3)" in told
    assert "config.training.adapter is added (on)" in told
    assert 'config.prompt ["a", "b"] -> ["a", "c"]' in told
    assert "its input x is another (" in told

    plain, tuned = ({"training": {"adapter": adapter}} for adapter in (None, {"rank": 8}))
    run(tmp_path, without := stage("tune", plain))
    told = pipeline.explain(with_one := stage("tune", tuned), tmp_path)
    beside = f"{with_one.folder_name} is new versus {without.folder_name}"
    assert told == [f'{beside}: config.training.adapter null -> {{"rank": 8}}'], "one value is one line"


def test_what_an_earlier_version_made_is_known(tmp_path: Path) -> None:
    """By the form of its identity, which had no kind, or by a lower version of the kind."""
    old, same, other = (Step(name, 1, {}, write_name) for name in ("old", "same", "other"))
    run(tmp_path, old, same, other)
    path = old.folder(tmp_path) / "stage.json"  # as a record was written before stages had kinds
    record = unsealed(json.loads(path.read_text()))
    del record["identity"]["kind"]
    path.write_text(json.dumps(sealed(record)))
    now = [
        Step("old", 1, {"new": 1}, write_name),
        Step("same", 1, {"new": 1}, write_name),
        Step("other", 2, {}, write_name),
    ]
    assert pipeline.of_earlier_versions(now, tmp_path) == [old.folder_name, other.folder_name]
    assert pipeline.of_earlier_versions(now[1:2], tmp_path) == []


def test_explain_compares_with_the_nearest_one(tmp_path: Path) -> None:
    for rate, epochs in ((0.1, 1), (0.9, 3)):
        run(tmp_path, stage("train", {"rate": rate, "epochs": epochs}))
    (line,) = pipeline.explain(stage("train", {"rate": 0.2, "epochs": 3}), tmp_path)
    assert line.endswith("config.rate 0.9 -> 0.2")


def test_explain_does_not_take_a_longer_name_for_the_same(tmp_path: Path) -> None:
    run(tmp_path, stage("train-more", {"rate": 1}))
    assert "no stage named train has been run" in pipeline.explain(stage("train", {"rate": 1}), tmp_path)[0]


def test_an_adopted_folder_is_a_finished_stage(tmp_path: Path) -> None:
    source = tmp_path / "elsewhere"
    source.mkdir()
    (source / "out.txt").write_text("adopted")
    made = stage("model")
    user = stage("user", x=made)
    assert pipeline.adopt(made, source, tmp_path) == made.folder(tmp_path)
    assert run(tmp_path, user).ran() == ["user"]
    assert "adopted" in (user.folder(tmp_path) / "out.txt").read_text()
    record = stage_record.read_record(made.folder(tmp_path))
    assert (record.adopted_from, record.adopted_name) == (str(source), source.name)
    with pytest.raises(StageError, match=r"is done already; remove its folder first: rm -r"):
        pipeline.adopt(made, source, tmp_path)
    with pytest.raises(StageError, match="is not a folder; give the folder of the finished checkpoint"):
        pipeline.adopt(stage("other"), tmp_path / "nowhere", tmp_path)


def test_an_adopted_folder_has_the_permissions_of_any_new_one(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    for path in (source / "weights", source / "inner" / "tokens"):
        path.write_text("x")
        path.chmod(0o600)
    (source / "inner").chmod(0o700)
    source.chmod(0o500)
    before = os.umask(0o022)
    try:
        folder = pipeline.adopt(stage("adopted"), source, tmp_path)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    assert {modes.pop("weights"), modes.pop("tokens"), modes.pop("stage.json")} == {0o644}
    assert set(modes.values()) == {0o755}


def test_adopting_a_finished_stage_takes_a_new_record(tmp_path: Path) -> None:
    """A folder that another run made holds a stage.json of its own, which says nothing about this stage."""
    run(tmp_path / "other", stage("model", {"value": 1}))
    made = stage("model", {"value": 2})
    pipeline.adopt(made, stage("model", {"value": 1}).folder(tmp_path / "other"), tmp_path / "runs")
    assert run(tmp_path / "runs", made).ran() == []


def test_adopting_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "elsewhere"
    source.mkdir()
    (source / "out.txt").write_text("adopted")

    def full(path: Path) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(stage_record, "file_sha256", full)
    with pytest.raises(StageError, match="the disk is full"):
        pipeline.adopt(stage("model"), source, tmp_path / "runs")
    assert [path.name for path in (tmp_path / "runs" / "stages").iterdir()] == [".locks"]
