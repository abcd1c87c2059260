"""The hub as a user has it: `HF_ENDPOINT` and a command. Every named corpus, bases, presets, faults, rights, and no network.

Single requests and their faults are in test_huggingface.py, pushes and cards in systems/test_cards.py.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_hub import FakeHub, Fault, fake_hub
from hub_corpora import COUNT, FEW, LARGE, write_repositories
from qalign.corpora import CORPORA
from qalign.corpora.table import PAIR_KINDS
from tiny_base import write_base

MAIN = """
import sys
from qalign import huggingface
from qalign.cli import main
huggingface.WAITS = (0.1, 0.1)
sys.argv[0] = "qalign"
main()
"""
ON_HUB = [(row.name, role) for row in CORPORA.values() if row.hub for role in row.roles]
Done = subprocess.CompletedProcess[str]


def qalign(hub: FakeHub, *words: str | Path, **environment: str) -> Done:
    """The command `qalign` with small published counts and short waits, against a hub."""
    done = hub.python("-c", FEW + MAIN, *map(str, words), **environment)
    assert "Traceback" not in done.stderr
    return done


def refusal(done: Done) -> str:
    """The one line that a command ended with."""
    assert (done.returncode, done.stdout) == (2, ""), done.stdout
    errors = [line for line in done.stderr.splitlines() if "error: " in line]
    assert errors == [done.stderr.splitlines()[-1]]
    return errors[0]


# --- every corpus -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    """A hub with every named corpus. That of Flores is gated, as the real one."""
    folder = tmp_path_factory.mktemp("hub")
    repositories = write_repositories(folder / "made")
    with fake_hub(folder) as hub:
        for place in sorted(repositories.glob("*/*")):
            hub.push_folder(f"datasets/{place.parent.name}/{place.name}", place, gated=place.name == "flores_plus")
        yield hub


@pytest.mark.parametrize(("name", "role"), ON_HUB)
def test_each_named_corpus_is_read_from_the_hub_and_again_without_it(corpora: FakeHub, name: str, role: str) -> None:
    row = CORPORA[name]
    assert row.hub is not None
    codes = ["en"] if role == "english" else [code for code in row.languages if role not in PAIR_KINDS or code != "en"]
    words = ["check", name, "--role", role, "--languages", ",".join(codes)]
    done = qalign(corpora, *words, HF_TOKEN="hf_granted")
    assert done.returncode == 0, done.stderr
    counts = dict(re.findall(r"^([a-z]{2}) +([\d,]+)", done.stdout, re.MULTILINE))
    assert list(counts) == codes
    published = {code: COUNT if name in LARGE else count for code, count in row.published.items()}
    assert {code: int(count.replace(",", "")) for code, count in counts.items()} == {
        code: published[code] for code in codes
    }
    held = corpora.repositories[f"datasets/{row.hub.name}"]
    assert json.loads((corpora.folder / "runs/revisions.json").read_text())[row.hub.name] == held.references["main"]
    assert not [asked for asked in corpora.asked if asked.endswith(".py")], "no script is fetched"
    if role == row.roles[0]:
        corpora.asked.clear()
        assert qalign(corpora, *words, HF_HUB_OFFLINE="1").stdout == done.stdout
        assert corpora.asked == []


def test_a_corpus_that_the_hub_does_not_have_says_so(corpora: FakeHub) -> None:
    done = qalign(corpora, "check", "ntrex", "--role", "general", "--languages", "bn")
    assert "ntrex is not on the hub: give the folder that holds train/general/ntrex128 (--data)" in refusal(done)


# --- runs -------------------------------------------------------------------------------------------------------------

BASE, TEST, TRAIN = "models/owner/small", "datasets/juletxara/mgsm", "datasets/openai/gsm8k"
GSM8K_CARD = "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train.jsonl\n---\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("small"))


@pytest.fixture
def hub(tmp_path: Path, small: Path) -> Iterator[FakeHub]:
    """A hub with a base, a corpus to train on and one to test on."""
    with fake_hub(tmp_path) as made:
        made.push_folder(BASE, small, "v1")
        push_rows(made, 1, "v1")
        yield made


def push_rows(hub: FakeHub, pens: int, *references: str) -> tuple[str, str]:
    """Other rows of the two corpora; the commits."""
    rows = [{"question": f"Ann has {n} and {pens} pens?", "answer": f"{n} pens.\n#### {n}"} for n in range(7473)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    tsv = "".join(f"Ann has {n} and {pens} pens. How many?\t{n}\n" for n in range(250))
    train = hub.push(TRAIN, {"README.md": GSM8K_CARD, "main/train.jsonl": text}, *references)
    return train, hub.push(TEST, {f"mgsm_{code}.tsv": tsv for code in ("en", "sw")}, *references)


def run(name: str = "", runs: str = "runs") -> list[str]:
    """A run from the hub, at a branch or a tag."""
    at = f"@{name}" if name else ""
    words = ["run", "monoreason", "--base", f"owner/small{at}", "--english", f"gsm8k{at}", "--test", "mgsm"]
    words += ["--scale", "sample", "--test-languages", "en,sw", "--limit", "1", "--device", "cpu", "--tracker", "none"]
    words += ["--set", "training.max_steps=1", "--set", "generation.max_new_tokens=2", "--quiet", "--runs", runs]
    return words


def measure(runs: str = "runs") -> list[str]:
    """A measurement from the hub, without a training."""
    words = ["eval", "owner/small", "--test", "mgsm", "--test-languages", "en,sw", "--limit", "1", "--device", "cpu"]
    return [*words, "--set", "generation.max_new_tokens=2", "--quiet", "--runs", runs, "--output", "out"]


def sources(hub: FakeHub, runs: str = "runs") -> dict[str, set[str]]:
    """The commits that stages read, by repository, as their records have them."""
    found: dict[str, set[str]] = {}
    for path in (hub.folder / runs / "stages").glob("*/stage.json"):
        config = json.loads(path.read_text())["identity"]["config"]
        source = {"hub": config.get("hub"), "revision": config.get("revision"), **config.get("source", {})}
        if source["hub"]:
            found.setdefault(source["hub"], set()).add(source["revision"])
    return found


def test_a_branch_that_moved_after_the_run_is_read_where_it_was(hub: FakeHub, small: Path) -> None:
    first = qalign(hub, *run("v1"))
    assert first.returncode == 0, first.stderr
    before, stages = sources(hub), sorted(path.name for path in (hub.folder / "runs/stages").iterdir())
    hub.push(BASE, {"config.json": "{}"}, "v1")
    moved = push_rows(hub, 2, "v1")
    hub.forget_cache()
    again = qalign(hub, *run("v1"))
    assert again.returncode == 0, again.stderr
    assert sorted(path.name for path in (hub.folder / "runs/stages").iterdir()) == stages, "nothing ran again"
    assert sources(hub) == before
    (card,) = (hub.folder / "runs/stages").glob("train-*/README.md")
    for commit in (*before["owner/small"], *before["openai/gsm8k"]):
        assert commit in card.read_text(), "what was read is said"
    # Another folder of runs has no record: the branch is read as it is now, and the stages are others.
    hub.push_folder(BASE, small, "v1")
    other = qalign(hub, *run("v1", "other"))
    assert other.returncode == 0, other.stderr
    assert sources(hub, "other")["openai/gsm8k"] == {moved[0]} != before["openai/gsm8k"]
    explained = qalign(hub, "explain", *run("v1")[1:-3], "--runs", "other")
    assert explained.returncode == 0, explained.stderr


def test_a_hub_that_is_busy_is_waited_for(hub: FakeHub) -> None:
    busy = {"Retry-After": "1"}
    hub.faults = [Fault(f"GET /api/{kind}/[^/]+/[^/]+$", 2, 429, busy) for kind in ("models", "datasets")]
    hub.faults += [Fault(rf"{method} .*/resolve/.*{ending}", 2, 429, busy)
                   for method, ending in (("HEAD", "safetensors"), ("GET", "jsonl"), ("GET", "tsv"))]  # fmt: skip
    done = qalign(hub, *run())
    assert done.returncode == 0, done.stderr
    assert [fault.times for fault in hub.faults] == [0] * 5
    assert "owner/small: the hub takes no more requests for now (429); trying again in 1 seconds" in done.stderr


@pytest.mark.parametrize(
    ("repository", "file"), [("owner/small", "model.safetensors"), ("juletxara/mgsm", "mgsm_sw.tsv")]
)
def test_a_hub_that_fails_for_good_leaves_nothing_half_made(hub: FakeHub, repository: str, file: str) -> None:
    hub.faults = [Fault(f"/resolve/.*{file}", 10**6, 503)]
    failed = qalign(hub, *measure())
    said = failed.stderr.splitlines()[-1]
    assert failed.returncode == 2
    assert f"error: {repository}@" in said and "the hub fails (503) and went on failing: wait some minutes" in said
    stages = [path.name for path in (hub.folder / "runs/stages").glob("*") if path.name != ".locks"]
    unfinished = "base-" if "safetensors" in file else "corpus-mgsm"
    assert not [name for name in stages if name.startswith(unfinished) or name.endswith(".partial")]
    assert not list((hub.folder / "hf").rglob(f"snapshots/*/{file}"))
    hub.faults = []
    done = qalign(hub, *measure())
    assert done.returncode == 0, done.stderr
    assert sources(hub).keys() == {"owner/small", "juletxara/mgsm"}


def test_a_file_that_is_cut_off_is_never_taken_for_a_whole_one(hub: FakeHub, small: Path) -> None:
    weights = (small / "model.safetensors").read_bytes()
    hub.faults = [Fault(r"GET .*/resolve/.*safetensors", 10**6, bytes_sent=1000)]
    failed = qalign(hub, *measure())
    assert failed.returncode == 2 and "error: owner/small@" in failed.stderr.splitlines()[-1]
    assert not list((hub.folder / "hf").rglob("snapshots/*/model.safetensors"))
    hub.faults = []
    offline = qalign(hub, *measure(), HF_HUB_OFFLINE="1")
    assert offline.returncode == 2, "what is in the cache is no model"
    assert not list((hub.folder / "runs/stages").glob("base-*"))
    done = qalign(hub, *measure())
    assert done.returncode == 0, done.stderr
    (whole,) = (hub.folder / "hf").rglob("snapshots/*/model.safetensors")
    assert whole.read_bytes() == weights


def test_a_second_run_needs_no_network(hub: FakeHub) -> None:
    done = qalign(hub, *run())
    assert done.returncode == 0, done.stderr
    hub.asked.clear()
    for runs in ("runs", "other"):  # the same folder, and one that has nothing yet
        again = qalign(hub, *run(runs=runs), HF_HUB_OFFLINE="1")
        assert again.returncode == 0, again.stderr
        assert sources(hub, runs) == sources(hub)
    assert hub.asked == []


# --- rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("repository", "page", "token"),
    [(BASE, "owner/small", {"HF_TOKEN": "hf_other"}), (TEST, "datasets/juletxara/mgsm", {})],
)
def test_a_gated_repository_names_its_page(hub: FakeHub, repository: str, page: str, token: dict[str, str]) -> None:
    hub.repositories[repository].gated = True
    line = refusal(qalign(hub, *measure(), **token))
    name = page.removeprefix("datasets/")
    assert (
        f"{name}: its conditions must be accepted at https://huggingface.co/{page}; then log in with `hf auth login`"
        in line
    )
    assert not (hub.folder / "runs/stages").exists()


def test_a_private_repository_is_open_to_its_owner_alone(hub: FakeHub) -> None:
    hub.repositories[BASE].private = True
    line = refusal(qalign(hub, *measure(), HF_TOKEN="hf_other"))
    assert "owner/small: no commit of it is known, and the hub does not have it, or not for you: check the name" in line
    assert "log in with `hf auth login`" in line
    assert qalign(hub, *measure(), HF_TOKEN="hf_granted").returncode == 0


def test_a_published_checkpoint_that_is_gated_names_its_page(hub: FakeHub, small: Path) -> None:
    hub.push_folder("models/meta-math/MetaMath-7B-V1.0", small, gated=True)
    done = qalign(hub, "eval", "metamath-7b", "--test", "mgsm", "--test-languages", "en", "--limit", "1")
    assert "must be accepted at https://huggingface.co/meta-math/MetaMath-7B-V1.0; then log in with `hf" in refusal(
        done
    )


def test_a_published_checkpoint_in_safetensors_is_measured_by_its_name(hub: FakeHub, small: Path) -> None:
    commit = hub.push_folder("models/kevinpro/MetaMathOctopus-7B", small)
    words = [
        "eval",
        "metamathoctopus-7b",
        "--test",
        "mgsm",
        "--test-languages",
        "en",
        "--limit",
        "1",
        "--output",
        "out",
    ]
    words += ["--set", "generation.max_new_tokens=2", "--device", "cpu"]
    done = qalign(hub, *words)
    assert done.returncode == 0, done.stderr
    assert sources(hub)["kevinpro/MetaMathOctopus-7B"] == {commit}
    shutil.rmtree(hub.folder / "runs")
    again = qalign(hub, *words, HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
