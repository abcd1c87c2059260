"""`stage.json` as data from outside, and the moments at which the recording of a finished stage can be interrupted."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qalign import pipeline
from qalign.errors import StageError
from qalign.fingerprints import sealed, unsealed
from qalign.pipeline import Stage, stage_record
from steps import Step, Task

# --- the shape of a record --------------------------------------------------------------------------------------------


def make(work: Task) -> None:
    """A stage's function: two files, one in a folder."""
    (work.output / "scores.json").write_text('{"en": 1}')
    (work.output / "deep").mkdir()
    (work.output / "deep" / "weights.bin").write_bytes(bytes(range(256)))


@pytest.fixture
def stage() -> Stage:
    return Step("score", 1, {"n": 1}, make)


@pytest.fixture
def folder(tmp_path: Path, stage: Stage) -> Path:
    """A finished stage."""
    pipeline.run([stage], tmp_path)
    return stage.folder(tmp_path)


def refused(stage: Stage, folder: Path) -> str:
    """The one line with which a run refuses the folder."""
    with pytest.raises(StageError) as caught:
        pipeline.run([stage], folder.parents[1])
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    return str(caught.value)


def test_a_record_comes_back_as_it_was_written(folder: Path, stage: Stage) -> None:
    record = stage_record.read_record(folder)
    assert (record.fingerprint, record.adopted_from) == (stage.fingerprint, None)
    assert msgspec.to_builtins(record.identity) == stage.identity
    assert list(record.files) == ["deep/weights.bin", "scores.json"]
    assert record.files["scores.json"][0] == 9


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '"text"', "{}", "NaN", "[" * 100_000, '{"a": ' * 500 + "1" + "}" * 500, "\ud800",
        '{"files": {}, "files": {}}', '{"finished": 1e999}', "﻿{}",
    ],
    ids=lambda text: text[:12].encode("unicode_escape").decode(),
)  # fmt: skip
def test_a_record_that_is_no_record_is_refused_in_one_line(folder: Path, stage: Stage, text: str) -> None:
    (folder / "stage.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert "stage.json is not what its stage left" in refused(stage, folder)


CHANGES: list[tuple[str, Any]] = [
    *[(key, None) for key in ("fingerprint", "identity", "files", "finished", "seconds", "versions", "hardware", "command")],
    ("fingerprint", "short"), ("fingerprint", 1), ("fingerprint", "Z" * 64), ("identity", []), ("identity", {}),
    ("identity", {"name": 1, "version": 1, "config": {}, "inputs": {}}),
    ("identity", {"name": "score", "version": True, "config": {}, "inputs": {}}),
    ("identity", {"name": "score", "version": 1, "config": {}, "inputs": {"x": "y"}}),
    ("inputs", {"x": 1}), ("adopted_from", 1), ("command", "qalign"), ("finished", "yesterday"), ("finished", -1),
    ("seconds", []), ("versions", {"python": 3}), ("hardware", []), ("hardware", {"machine": []}),
    ("files", []), ("files", {"scores.json": [9]}), ("files", {"scores.json": [9, 1, "0" * 64, 1]}),
    ("files", {"scores.json": {"size": 9}}), ("files", {"scores.json": [-1, 1, "0" * 64]}),
    ("files", {"scores.json": [9.5, 1, "0" * 64]}), ("files", {"scores.json": [9, 1, "0" * 63]}),
    *[
        ("files", {name: [9, 1, "0" * 64]})
        for name in (
            "../../outside", "..", ".", "", "/etc/passwd", "deep/../../../outside", "./scores.json", "deep//weights.bin",
            "deep/", "scores.json\0",
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), CHANGES, ids=lambda value: repr(value)[:40])
@pytest.mark.parametrize("old", [False, True], ids=["sealed", "as-earlier-versions"])
def test_a_record_of_another_shape_is_refused_in_one_line(
    folder: Path, stage: Stage, key: str, value: Any, old: bool
) -> None:
    record = unsealed(json.loads((folder / "stage.json").read_text()))
    record[key] = value
    if value is None:
        del record[key]
    (folder / "stage.json").write_text(json.dumps(record if old else sealed(record)))
    told = refused(stage, folder)
    assert "stage.json is not what its stage left" in told or "is missing from a finished stage" in told


def test_a_record_of_an_earlier_version_without_a_seal_is_read(folder: Path, stage: Stage) -> None:
    path = folder / "stage.json"
    path.write_text(json.dumps(unsealed(json.loads(path.read_text()))))
    pipeline.run([stage], folder.parents[1])


def test_a_flipped_bit_of_a_record_is_noticed_wherever_it_is(folder: Path, stage: Stage) -> None:
    path = folder / "stage.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        if says_the_same(damaged, whole):  # the last of 17 digits of a time
            continue
        path.write_bytes(damaged)
        with pytest.raises(StageError, match=r"stage\.json"):
            stage_record.read_record(folder)


def says_the_same(damaged: bytes, whole: bytes) -> bool:
    try:
        return bool(json.loads(damaged) == json.loads(whole))
    except ValueError:
        return False


# --- the files of a finished stage ------------------------------------------------------------------------------------


def keep_time(path: Path, change: Callable[[Path], object]) -> None:
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_flipped_bit_is_noticed_though_size_and_time_are_the_same(folder: Path, stage: Stage) -> None:
    keep_time(folder / "scores.json", lambda path: path.write_text('{"en": 0}'))
    assert "scores.json was edited after the stage was finished" in refused(stage, folder)


@pytest.mark.parametrize("name", ["stage.json", "scores.json", "deep/weights.bin", "deep", "new"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_links_and_pipes_are_refused_and_not_followed(folder: Path, stage: Stage, name: str, kind: str) -> None:
    path, outside = folder / name, folder.parents[1] / "outside"
    if path.exists():
        path.rename(outside)
    else:
        outside.write_text("new")
    path.symlink_to(outside) if kind == "link" else os.mkfifo(path)
    told = refused(stage, folder)
    assert "a symbolic link" in told or "a pipe" in told or "has no stage.json" in told


def test_a_function_that_leaves_a_link_is_refused(tmp_path: Path) -> None:
    def leaves(work: Task) -> None:
        (work.output / "link").symlink_to("/etc/hostname")

    with pytest.raises(StageError, match=r"link is a symbolic link; a stage's folder holds files only"):
        pipeline.run([Step("s", 1, {}, leaves)], tmp_path)


def test_adopting_copies_what_links_lead_to_and_refuses_pipes(tmp_path: Path) -> None:
    """A snapshot in the hub's cache is a folder of links."""
    source = tmp_path / "snapshot"
    source.mkdir()
    (tmp_path / "blob").write_text("weights")
    (source / "model.bin").symlink_to(tmp_path / "blob")
    folder = pipeline.adopt(Step("model", 1, {}, make), source, tmp_path)
    assert (folder / "model.bin").read_text() == "weights" and not (folder / "model.bin").is_symlink()
    for place, plant in enumerate((os.mkfifo, lambda path: path.symlink_to("nowhere"))):
        shutil.rmtree(source)
        source.mkdir()
        plant(source / "model.bin")
        with pytest.raises(StageError, match=r"model\.bin cannot be copied") as caught:
            pipeline.adopt(Step("other", 1, {"n": place}, make), source, tmp_path)
        assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "stages").iterdir()] != []
    assert not list((tmp_path / "stages").glob("other-*"))


def test_a_failed_adoption_leaves_the_checkpoints_of_an_interrupted_stage(tmp_path: Path) -> None:
    def breaks(work: Task) -> None:
        (work.scratch / "step-1").write_text("a checkpoint")
        raise RuntimeError

    interrupted = Step("train", 1, {}, breaks)
    with pytest.raises(RuntimeError):
        pipeline.run([interrupted], tmp_path)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.bin").symlink_to("nowhere")
    with pytest.raises(StageError, match="cannot be copied"):
        pipeline.adopt(interrupted, tmp_path / "source", tmp_path)
    (kept,) = (tmp_path / "stages").glob("train-*.partial/scratch/step-1")
    (tmp_path / "source" / "model.bin").unlink()
    pipeline.adopt(interrupted, tmp_path / "source", tmp_path)
    assert not kept.exists()
    assert [path.name for path in (tmp_path / "stages").glob("train-*")] == [interrupted.folder_name]


# --- interruptions while a result is recorded -------------------------------------------------------------------------

INTERRUPTED = 77


def interrupted_at(event: int, kind: str, work: Callable[[], None], begun: Callable[[], bool]) -> int:
    """Does `work` in a fork that is interrupted at the given file operation after `begun`; returns 0 if it had
    fewer."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        seen = 0

        def count(name: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if name not in ("open", "os.scandir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree") or not begun():
                return
            seen += 1
            if seen == event and kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if seen == event:
                raise KeyboardInterrupt if kind == "interrupt" else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        sys.addaudithook(count)
        with suppress(BaseException):
            work()
        os._exit(INTERRUPTED if seen >= event else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Counted:
    """A stage that counts the calls of its function and knows when it has returned."""

    def __init__(self, runs: Path) -> None:
        self.runs, self.returned = runs, False
        self.calls = runs / "calls.txt"
        self.calls.parent.mkdir(parents=True)
        self.stage = Step("train", 1, {}, self.function)

    def function(self, work: Task) -> None:
        with self.calls.open("a") as file:
            file.write("call\n")
        (work.scratch / "step-1").mkdir(exist_ok=True)
        (work.scratch / "step-1" / "weights.bin").write_bytes(b"checkpoint")
        make(work)
        self.returned = True

    def run(self) -> None:
        pipeline.run([self.stage], self.runs)


def runs_interrupted(tmp_path: Path, kind: str) -> Iterator[Counted]:
    """A run that is interrupted at the first file operation after its function returned, one at the second, and so on."""
    for event in range(1, 200):
        counted = Counted(tmp_path / str(event))
        ended = interrupted_at(event, kind, counted.run, lambda counted=counted: counted.returned)  # type: ignore[misc]
        if ended == 0:
            assert event > 10, "there are that many operations at least"
            return
        yield counted
    pytest.fail("recording never ended")


@pytest.mark.parametrize("kind", ["kill", "interrupt", "full"])
def test_a_result_that_is_interrupted_while_it_is_recorded_is_not_lost(tmp_path: Path, kind: str) -> None:
    """The next run only records it; in the moments before its note is written, the function goes on from its scratch."""
    called_again = 0
    for counted in runs_interrupted(tmp_path, kind):
        partial = counted.runs / "stages" / f"{counted.stage.folder_name}.partial"
        noted = (
            pipeline.status(counted.stage, counted.runs) == "done" or stage_record.read_returned(partial) is not None
        )
        if not noted:
            assert (partial / "scratch" / "step-1" / "weights.bin").read_bytes() == b"checkpoint"
            called_again += 1
        counted.run()
        assert counted.calls.read_text() == ("call\n" if noted else "call\n" * 2)
        folder = counted.stage.folder(counted.runs)
        assert (folder / "scores.json").read_text() == '{"en": 1}'
        assert (folder / "deep" / "weights.bin").read_bytes() == bytes(range(256))
        assert sorted(path.name for path in folder.iterdir()) == ["deep", "scores.json", "stage.json"]
        assert [path.name for path in (counted.runs / "stages").iterdir() if path.name != ".locks"] == [folder.name]
    assert called_again <= 5


def test_an_output_that_is_damaged_before_it_is_recorded_is_made_again(tmp_path: Path) -> None:
    for counted in runs_interrupted(tmp_path, "kill"):
        partial = counted.runs / "stages" / f"{counted.stage.folder_name}.partial"
        if stage_record.read_returned(partial) is None:
            continue
        (partial / "scores.json").write_text('{"en": 2}')
        counted.run()
        assert counted.calls.read_text() == "call\n" * 2
        assert (counted.stage.folder(counted.runs) / "scores.json").read_text() == '{"en": 1}'


def test_after_a_restart_of_the_machine_a_result_on_the_way_to_the_disk_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for counted in runs_interrupted(tmp_path, "kill"):
        partial = counted.runs / "stages" / f"{counted.stage.folder_name}.partial"
        if stage_record.read_returned(partial) is not None:
            break
    monkeypatch.setattr(stage_record, "_boot", lambda: "another")
    counted.run()
    assert counted.calls.read_text() == "call\n" * 2


@pytest.mark.parametrize("kind", ["kill", "interrupt", "full"])
def test_an_adoption_that_is_interrupted_can_be_done_again(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "out.txt").write_text("adopted")
    made = Step("model", 1, {}, make)
    for event in range(1, 200):
        runs = tmp_path / str(event)
        ended = interrupted_at(event, kind, lambda runs=runs: pipeline.adopt(made, source, runs), lambda: True)  # type: ignore[misc]
        if pipeline.status(made, runs) != "done":
            pipeline.adopt(made, source, runs)
        pipeline.run([made], runs)
        assert [path.name for path in made.folder(runs).iterdir() if path.name != "stage.json"] == ["out.txt"]
        assert [path.name for path in (runs / "stages").iterdir() if path.name != ".locks"] == [made.folder_name]
        if ended == 0:
            break
    assert event > 10
