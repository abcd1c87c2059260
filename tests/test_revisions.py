"""The record of commits: written whole, by several processes at once, and refused in one line where it is broken."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qalign.errors import DataError, ModelError
from qalign.huggingface import Repository, resolve

GSM8K, MODEL = Repository("dataset", "openai/gsm8k"), Repository("model", "owner/small")
A, B = "a" * 40, "b" * 40

TOGETHER = """
import sys, time
from pathlib import Path
from qalign import huggingface
number, begin = int(sys.argv[1]), float(sys.argv[2])
huggingface.commit_of = lambda repository, revision: f"{number:040x}"  # no hub here: each process would get another answer
time.sleep(max(0.0, begin - time.time()))
for count in range(20):
    huggingface.resolve(huggingface.Repository("dataset", f"owner/of-{number}-{count}"), None, Path("revisions.json"))
    print(huggingface.resolve(huggingface.Repository("model", f"owner/of-all-{count}"), "main", Path("revisions.json")))
"""


def test_processes_at_once_lose_no_record(tmp_path: Path) -> None:
    begin = str(time.time() + 2)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER, str(n), begin], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        for n in range(4)
    ]
    told = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert told[0] == told[1] == told[2] == told[3], "all go on with the commit that was first"
    known = json.loads((tmp_path / "revisions.json").read_text())
    assert len(known) == 4 * 20 + 20
    assert [known[f"owner/of-{n}-{count}"] for n in range(4) for count in range(20)] == [
        f"{n:040x}" for n in range(4) for _ in range(20)
    ]
    assert [path.name for path in tmp_path.glob("*.tmp")] == []


def test_both_forms_of_names_are_read(tmp_path: Path) -> None:
    record = tmp_path / "revisions.json"
    record.write_text(json.dumps({"openai/gsm8k": A, "model:owner/small": B, "openai/gsm8k@v1": B}))
    assert resolve(GSM8K, None, record) == A
    assert resolve(GSM8K, "v1", record) == B
    assert resolve(MODEL, None, record) == B
    assert resolve(MODEL, A.upper(), record) == A


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not valid JSON: "),
        (b"", "is not valid JSON: "),
        (b"\xff", "is not UTF-8 "),
        (b"[]", "is not a record of revisions (a JSON object of names and commits): remove it"),
        (b'{"openai/gsm8k": 1}', "'openai/gsm8k' has '1', not a commit (40 hexadecimal digits): remove its line"),
        (
            b'{"openai/gsm8k": "main"}',
            "'openai/gsm8k' has 'main', not a commit (40 hexadecimal digits): remove its line",
        ),
        (b'{"a/b\\u001b]": null}', "'a/b\\x1b]' has 'None', not a commit "),
        (b'{"a/b": "%s", "a/b": "%s"}' % (A.encode(), B.encode()), "the key 'a/b' appears twice in one object"),
        (b"[" * 5000 + b"]" * 5000, "is nested deeper than 100 levels"),
    ],
)
def test_a_broken_record_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    record = tmp_path / "revisions.json"
    record.write_bytes(content)
    for repository, kind in ((GSM8K, DataError), (MODEL, ModelError)):
        with pytest.raises(kind) as caught:
            resolve(repository, None, record)
        assert str(caught.value).startswith(str(record))
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
    record.unlink()
    record.mkdir()
    with pytest.raises(DataError, match=r"revisions\.json cannot be read"):
        resolve(GSM8K, None, record)
