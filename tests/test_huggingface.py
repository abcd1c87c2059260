"""What is asked of the hub: at which commit it is read, what is tried again, and what is said when it does not answer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from fake_hub import FakeHub, Fault, fake_hub
from own_data import OwnData
from qalign.errors import DataError, ModelError
from qalign.huggingface import Repository, _seconds_to_wait, resolve

GSM8K, MGSM, MODEL = "datasets/openai/gsm8k", "datasets/juletxara/mgsm", "models/owner/small"
GSM8K_CARD = "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train.jsonl\n---\n"
SHORT = "from qalign import huggingface; huggingface.WAITS = (0.1, 0.1, 0.1, 0.1, 0.1); "
"""Shorter waits, for tests in which many tries are made."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path) as made:
        yield made


def push_gsm8k(hub: FakeHub, pens: int, *references: str) -> str:
    rows = [{"question": f"Ann has {n} and {pens} pens?", "answer": f"{n} pens.\n#### {n}"} for n in range(7473)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    script = "raise SystemExit('code of a dataset was run')\n"
    return hub.push(GSM8K, {"README.md": GSM8K_CARD, "main/train.jsonl": text, "gsm8k.py": script}, *references)


def push_mgsm(hub: FakeHub, **options: bool) -> str:
    tsv = "".join(f"Ann has {n} pens. How many?\t{n}\n" for n in range(250))
    return hub.push(MGSM, {"mgsm_en.tsv": tsv, "mgsm_sw.tsv": tsv}, **options)


def recorded(hub: FakeHub) -> dict[str, str]:
    return dict(json.loads((hub.folder / "runs/revisions.json").read_text()))


def check(hub: FakeHub, corpus: str, role: str, languages: str, **environment: str) -> tuple[int, str, str]:
    made = hub.qalign("check", corpus, "--role", role, "--languages", languages, **environment)
    assert "Traceback" not in made.stderr
    return made.returncode, made.stdout, made.stderr


READ = """
from pathlib import Path
from qalign.corpora import locate, read
from qalign.languages import LANGUAGES
import sys
source = locate(sys.argv[1], "english", ["en"], data=None, revisions=Path("runs/revisions.json"))
print(source.identity()["revision"], read(source, ["en"], LANGUAGES).problems[0].question)
"""


def read(hub: FakeHub, corpus: str, **environment: str) -> str:
    """The commit that a corpus is known by, and its first question."""
    made = hub.python("-c", READ, corpus, **environment)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


# --- commits ----------------------------------------------------------------------------------------------------------


def test_a_branch_is_read_and_recorded_as_its_commit(hub: FakeHub) -> None:
    first = push_gsm8k(hub, 1, "v1", "main")
    assert read(hub, "gsm8k@v1") == f"{first} Ann has 0 and 1 pens?"
    second = push_gsm8k(hub, 2)
    assert read(hub, "openai/gsm8k@main") == f"{second} Ann has 0 and 2 pens?"
    assert recorded(hub) == {"openai/gsm8k@v1": first, "openai/gsm8k@main": second}
    # The branches move on: what was recorded is read again, from the cache and without asking.
    push_gsm8k(hub, 3, "v1")
    hub.asked.clear()
    assert read(hub, "gsm8k@v1") == f"{first} Ann has 0 and 1 pens?"
    assert read(hub, "gsm8k@main") == f"{second} Ann has 0 and 2 pens?"
    assert [asked for asked in hub.asked if "/revision/" in asked] == []


def test_a_full_commit_is_used_without_asking(hub: FakeHub) -> None:
    first = push_gsm8k(hub, 1)
    push_gsm8k(hub, 2)
    assert read(hub, f"gsm8k@{first.upper()}") == f"{first} Ann has 0 and 1 pens?"
    assert not (hub.folder / "runs/revisions.json").exists()
    assert not [asked for asked in hub.asked if "/revision/" in asked]


def test_offline_the_commit_that_was_asked_for_is_read_and_no_other(hub: FakeHub) -> None:
    first = push_gsm8k(hub, 1)
    read(hub, f"gsm8k@{first}")
    second = push_gsm8k(hub, 2)
    assert read(hub, "gsm8k").startswith(second)
    (hub.folder / "runs/revisions.json").unlink()
    offline = {"HF_HUB_OFFLINE": "1"}
    assert read(hub, "gsm8k", **offline) == f"{second} Ann has 0 and 2 pens?"
    assert read(hub, f"gsm8k@{first}", **offline) == f"{first} Ann has 0 and 1 pens?"
    code, _, said = check(hub, f"gsm8k@{'0' * 40}", "english", "en", **offline)
    assert code == 2
    assert re.search(r"error: openai/gsm8k@0{40}: the hub cannot be reached .* the cache lacks it: go online, or", said)


def test_without_a_network_the_cache_serves_without_a_record(hub: FakeHub) -> None:
    commit = push_gsm8k(hub, 1)
    read(hub, "gsm8k")
    (hub.folder / "runs/revisions.json").unlink()
    begun = time.monotonic()
    made = hub.python("-c", READ, "gsm8k", HF_ENDPOINT="http://127.0.0.1:9")
    assert made.stdout.strip() == f"{commit} Ann has 0 and 1 pens?"
    assert f"openai/gsm8k is taken from the cache, at {commit}" in made.stderr
    assert time.monotonic() - begun < 20
    assert recorded(hub) == {"openai/gsm8k": commit}


def test_a_revision_that_is_not_there(hub: FakeHub) -> None:
    push_gsm8k(hub, 1)
    code, _, said = check(hub, "gsm8k@v9", "english", "en")
    assert code == 2
    assert "error: openai/gsm8k@v9: no commit of it is known, and the hub has no such revision; ask for one" in said
    code, _, said = check(hub, "gsm8k@", "english", "en")
    assert (code, said) == (
        2,
        "qalign: error: 'gsm8k@' names no revision: give a branch, a tag or a commit behind the @, or gsm8k alone\n",
    )


# --- faults -----------------------------------------------------------------------------------------------------------

INFO, TREE = "GET /api/datasets/[^/]*/[^/]*(/revision/.*)?$", "/tree/"
PASSING = {
    **{f"info-{status}": Fault("GET /api/datasets/{name}(/revision/.*)?$", 2, status) for status in (429, 500, 502, 503, 504)},
    "info-drop": Fault("GET /api/datasets/{name}(/revision/.*)?$", 2, drop=True),
    "info-cut": Fault("GET /api/datasets/{name}(/revision/.*)?$", 2, bytes_sent=5),
    **{f"file-{status}": Fault("GET /datasets/{name}/resolve/", 2, status) for status in (500, 502, 503, 504)},
    "file-drop": Fault("GET /datasets/{name}/resolve/", 2, drop=True),
    "file-cut": Fault("GET /datasets/{name}/resolve/", 2, bytes_sent=100),
    "head-503": Fault("HEAD /datasets/{name}/resolve/", 1, 503),
    "head-drop": Fault("HEAD /datasets/{name}/resolve/", 1, drop=True),
    "tree-drop": Fault("/api/datasets/{name}/tree/", 1, drop=True),
}  # fmt: skip
FETCH = (
    SHORT
    + """
import sys
for name in sys.argv[1:]:
    repository = huggingface.Repository("dataset", name)
    try:
        commit = huggingface.commit_of(repository, None)
        print(name, commit, len((huggingface.fetch(repository, commit, ["*.txt"]) / "some.txt").read_text()))
    except huggingface.DataError as error:
        print(error)
"""
)


def test_a_fault_that_passes_is_tried_again(hub: FakeHub) -> None:
    commits = {}
    for kind, fault in PASSING.items():
        commits[kind] = hub.push(f"datasets/some/{kind}", {"some.txt": "text " * 40})
        hub.faults.append(replace(fault, pattern=fault.pattern.format(name=f"some/{kind}")))
    made = hub.python("-c", FETCH, *(f"some/{kind}" for kind in PASSING))
    assert made.stdout.splitlines() == [f"some/{kind} {commits[kind]} 200" for kind in PASSING]
    assert [fault.times for fault in hub.faults] == [0] * len(PASSING)
    for kind in PASSING:
        if kind.startswith("info"):
            said = re.findall(
                rf"^[\d:]{{8}} qalign: some/{kind}: (.*); trying again in 0.1 seconds$", made.stderr, re.MULTILINE
            )
            assert len(said) == 2, kind
            assert kind[5:] in said[0] if kind[5:].isdecimal() else "no whole answer of the hub (" in said[0]


def test_the_hub_is_waited_for_as_long_as_it_asks(hub: FakeHub) -> None:
    push_mgsm(hub)
    hub.faults = [Fault(INFO, 1, 429, {"Retry-After": "3"})]
    begun = time.monotonic()
    code, _, said = check(hub, "mgsm", "test", "en")
    assert code == 0
    assert time.monotonic() - begun > 3
    assert "qalign: juletxara/mgsm: the hub takes no more requests for now (429); trying again in 3 seconds\n" in said


def test_too_long_a_wait_is_not_waited_out(hub: FakeHub) -> None:
    parts = {"first": "(/revision/.*)?$", "second": "/tree/", "third": "/resolve/"}
    for name, part in parts.items():
        hub.push(f"datasets/some/{name}", {"some.txt": "text"})
        hub.faults.append(Fault(f"some/{name}{part}", 99, 429, {"Retry-After": "4000"}))
    begun = time.monotonic()
    made = hub.python("-c", FETCH, *(f"some/{name}" for name in parts))
    assert time.monotonic() - begun < 20
    said = "(429) and went on failing: wait 4000 seconds and run it again, set HF_TOKEN for a higher limit, or"
    assert [said in line for line in made.stdout.splitlines()] == [True] * 3


def test_the_tries_end(hub: FakeHub) -> None:
    said = {
        "first": "the hub fails (503) and went on failing: wait some minutes and run it again, or give it as",
        "second": "the hub takes no more requests for now (429) and went on failing: wait some minutes and run it again",
        "third": "the hub cannot be reached (",
    }
    faults = {"first": Fault("", 99, 503), "second": Fault("", 99, 429), "third": Fault("", 99, drop=True)}
    hub.faults = [replace(fault, pattern=f"some/{name}") for name, fault in faults.items()]
    made = hub.python("-c", FETCH, *(f"some/{name}" for name in said))
    for line, (name, words) in zip(made.stdout.splitlines(), said.items(), strict=True):
        assert line.startswith(f"some/{name}: no commit of it is known, and {words}")
        assert made.stderr.count(f"qalign: some/{name}: ") == 5
    assert [99 - fault.times for fault in hub.faults] == [6, 6, 6]


def test_waits_are_read_in_every_form() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60))
    assert 50 < (_seconds_to_wait({"Retry-After": date}) or 0) <= 60
    assert _seconds_to_wait({"Retry-After": "120"}) == 120
    assert _seconds_to_wait({"RateLimit": '"api";r=0;t=243'}) == 243
    assert _seconds_to_wait({"RateLimit": '"api";r=7;t=243'}) is None
    assert _seconds_to_wait({"Retry-After": "soon"}) is None


def test_a_gated_dataset_says_where_to_accept(hub: FakeHub) -> None:
    push_mgsm(hub, gated=True)
    for environment in ({}, {"HF_TOKEN": "hf_other"}):
        code, _, said = check(hub, "mgsm", "test", "en", **environment)
        assert code == 2
        assert (
            "its conditions must be accepted at https://huggingface.co/datasets/juletxara/mgsm; then log in with `hf auth"
            in said
        )
        assert last_line(said).startswith("qalign: error: ")
    assert check(hub, "mgsm", "test", "en", HF_TOKEN="hf_granted")[0] == 0


def test_a_token_that_the_hub_does_not_know(hub: FakeHub) -> None:
    push_mgsm(hub)
    code, _, said = check(hub, "mgsm", "test", "en", HF_TOKEN="hf_expired")
    assert code == 2
    assert "the hub does not know the token that was sent: log in with `hf auth login` (or set HF_TOKEN) anew" in said


# --- models -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of random weights."""
    from qalign.models.tiny import TinyConfig, make_tiny

    folder = tmp_path_factory.mktemp("small")
    config = TinyConfig(vocabulary=400, hidden_size=32, layers=1, heads=2, intermediate_size=64)
    make_tiny(["Ann has 3 pens and buys 4 more."], config, folder)
    return folder


def small_run(data: OwnData, runs: Path) -> list[str | Path]:
    settings = ("data.problems_per_language=1", "generation.max_new_tokens=4")
    return [
        "--scale", "sample", "--device", "cpu", "--quiet", "--tracker", "none", "--runs", runs, "--test", data.test,
        "--test-languages", "en", *(word for text in settings for word in ("--set", text)),
    ]  # fmt: skip


def last_line(text: str) -> str:
    return text.splitlines()[-1]


def test_a_model_is_measured_trained_from_and_adopted(hub: FakeHub, small_model: Path, own_data: OwnData) -> None:
    commit = hub.push_folder(MODEL, small_model, "v1")
    runs = hub.folder / "runs"
    evaluation = ["eval", "owner/small@v1", *small_run(own_data, runs)]
    hub.faults = [Fault("GET /api/models", 1, 503), Fault(r"GET .*/resolve/.*\.safetensors", 1, bytes_sent=2000)]
    made = hub.qalign(*evaluation)
    assert made.returncode == 0, made.stderr
    assert recorded(hub) == {"model:owner/small@v1": commit}
    # Later on: the branch moves, the record goes, the network goes.
    hub.push(MODEL, {"config.json": "{}"}, "v1")
    base = next((runs / "stages").glob("base-*/model.json"))
    assert json.loads(base.read_text()) == {"hub": "owner/small", "revision": commit}
    shutil.rmtree(runs)
    made = hub.qalign(*evaluation, HF_HUB_OFFLINE="1")
    assert made.returncode == 0, made.stderr
    assert recorded(hub) == {"model:owner/small@v1": commit}
    # By its commit, without any record; `run` and `adopt` too.
    shutil.rmtree(runs)
    named, english = ["--base", f"owner/small@{commit}"], ["--english", own_data.english]
    made = hub.qalign(
        "run",
        "monoreason",
        "--set",
        "training.max_steps=1",
        *named,
        *english,
        *small_run(own_data, runs),
        HF_HUB_OFFLINE="1",
    )
    assert made.returncode == 0, made.stderr
    for stage in (runs / "stages").glob("train-*"):
        shutil.rmtree(stage)
    made = hub.qalign(
        "adopt",
        "monoreason",
        "owner/small@v1",
        "--set",
        "training.max_steps=1",
        *named,
        *english,
        *small_run(own_data, runs),
        HF_HUB_OFFLINE="1",
    )
    assert made.returncode == 0, made.stderr
    assert commit in made.stdout


def test_what_is_said_of_models(hub: FakeHub, small_model: Path, own_data: OwnData) -> None:
    hub.push_folder(MODEL, small_model, gated=True)
    rest = small_run(own_data, hub.folder / "runs")
    made = hub.qalign("eval", "owner/small", *rest)
    assert (made.returncode, made.stdout) == (2, "")
    said = "its conditions must be accepted at https://huggingface.co/owner/small; then log in with `hf auth login`"
    assert said in last_line(made.stderr)
    for verb in (
        ["eval", "owner/none"],
        ["adopt", "monoreason", "owner/none", "--base", "tiny", "--english", own_data.english],
    ):
        made = hub.qalign(*verb, *rest)
        assert made.returncode == 2
        assert re.fullmatch(
            r"qalign: error: owner/none: no commit of it is known, and the hub does not have it, or not for you: check the "
            r"name, log in with `hf auth login` \(or set HF_TOKEN\), or give a folder",
            last_line(made.stderr),
        )
    made = hub.qalign("plan", "monoreason", "--base", "owner/small@v9", "--english", own_data.english, *rest)
    assert "error: owner/small@v9: no commit of it is known, and the hub has no such revision" in made.stderr


def test_a_hub_without_a_connection_is_asked_once_before_anything_begins(tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    words = ["run", "monoreason", "--base", "some/model", "--runs", str(tmp_path / "runs")]
    made = subprocess.run(
        [sys.executable, "-m", "qalign", *words], env=environment, capture_output=True, text=True, timeout=120
    )
    assert made.returncode == 2
    (line,) = made.stderr.splitlines()
    assert line.startswith("qalign: error: some/model: no commit of it is known, and the hub cannot be reached (")


# --- the record of commits ------------------------------------------------------------------------------------------------

CORPUS, BASE = Repository("dataset", "openai/gsm8k"), Repository("model", "owner/small")
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
    assert resolve(CORPUS, None, record) == A
    assert resolve(CORPUS, "v1", record) == B
    assert resolve(BASE, None, record) == B
    assert resolve(BASE, A.upper(), record) == A


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
    for repository, kind in ((CORPUS, DataError), (BASE, ModelError)):
        with pytest.raises(kind) as caught:
            resolve(repository, None, record)
        assert str(caught.value).startswith(str(record))
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
    record.unlink()
    record.mkdir()
    with pytest.raises(DataError, match=r"revisions\.json cannot be read"):
        resolve(CORPUS, None, record)
