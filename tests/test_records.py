"""The JSONL of the package's own files: what was written is read again, and damage is one line."""

from __future__ import annotations

import gzip
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from qalign.errors import DataError
from qalign.records import (
    Judgement,
    Prediction,
    Problem,
    Reading,
    read_jsonl,
    to_json,
    write_json,
    write_jsonl,
)

PROBLEM = Problem("7", "th", "มีกี่ลูก?\u2028\x85", None, "18", "mgsm")
READING = Reading("18", "18", 3, 5, "last", True)
RECORDS = [
    PROBLEM,
    Prediction("7", "th", "18 👩\u200d👧", "ab", 12, "length"),
    Judgement(
        "7", "th", "18", "stop", "correct", {"strict": READING, "paper": Reading(None, "", 0, 0, "none", False)}, "th"
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_what_was_written_is_read_again(tmp_path: Path, record: Problem | Prediction | Judgement) -> None:
    write_jsonl(tmp_path / "records.jsonl", [record, record])
    assert list(read_jsonl(tmp_path / "records.jsonl", type(record))) == [record, record]


LINE = to_json(PROBLEM)

DAMAGED = [
    (LINE[:-5], "line 2 is not a valid Problem"),
    ("", "line 2 is not a valid Problem"),
    ("[]", "line 2 is not a valid Problem: Expected `object`"),
    (LINE.replace('"18"', "18"), "Expected `str | null`, got `int` - at `$.gold`"),
    (LINE.replace('"id"', '"idd"'), "missing required field `id`"),
    (LINE.replace("mgsm", "m\\ud800x"), "line 2 is not a valid Problem"),
    ('{"x": ' + "[" * 100_000, "line 2 is not a valid Problem"),
    (LINE.encode().replace(b"mgsm", b"m\xffsm"), "line 2 is not a valid Problem: 'utf-8' codec"),
    (b"\0" * 40, "line 2 is not a valid Problem"),
]


@pytest.mark.parametrize(("line", "message"), DAMAGED)
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_a_damaged_line_is_named(tmp_path: Path, line: str | bytes, message: str, suffix: str) -> None:
    path = tmp_path / f"records{suffix}"
    content = LINE.encode() + b"\n" + (line if isinstance(line, bytes) else line.encode()) + b"\n"
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    with pytest.raises(DataError) as caught:
        list(read_jsonl(path, Problem))
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).isprintable()


def test_a_file_that_is_cut_is_named(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(gzip.compress(LINE.encode() * 500)[:-9])
    with pytest.raises(DataError, match=r"records.jsonl.gz cannot be read after line 0: .*; the file is damaged"):
        list(read_jsonl(path, Problem))
    path.write_bytes(b"no gzip")
    with pytest.raises(DataError, match="Not a gzipped file"):
        list(read_jsonl(path, Problem))


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to a pipe"])
def test_only_a_file_gives_its_place_to_a_file(kind: str, tmp_path: Path) -> None:
    """A device would be replaced for good where one works as the administrator."""
    place = tmp_path / "place"
    place.mkdir() if kind == "folder" else os.mkfifo(tmp_path / "pipe" if kind == "link to a pipe" else place)
    if kind == "link to a pipe":
        place.symlink_to(tmp_path / "pipe")
    before = place.lstat()
    with pytest.raises(DataError, match="place is not a file that can be written anew"):
        write_json(place, {})
    assert place.lstat() == before


def test_rows_are_plain_values(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    write_jsonl(path, RECORDS[:2])
    assert [row["id"] for row in read_jsonl(path, dict[str, object])] == ["7", "7"]
    path.write_text("[1]\n")
    with pytest.raises(DataError, match=r"line 1 is not a valid record: Expected `object`, got `array`"):
        list(read_jsonl(path, dict[str, object]))


def test_what_a_killed_process_left_beside_a_file_is_removed_by_the_next(tmp_path: Path) -> None:
    """A writer that is killed leaves its temporary file; those of writers that live are left alone."""
    program = (
        "import os, signal, sys; from pathlib import Path; from qalign.records import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "results.json"
    subprocess.run([sys.executable, "-c", program, str(path)], timeout=60)
    assert len(list(tmp_path.iterdir())) == 1
    alive = path.with_name(f".results.json.{platform.node()}.{os.getppid()}.tmp")
    alive.write_text("half")
    write_json(path, {"a": 1})
    assert {file.name for file in tmp_path.iterdir()} == {"results.json", alive.name}
