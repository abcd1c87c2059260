"""The corpora are the same bytes on every machine and Python: pinned in golden.json, and nothing in the source could vary."""

from __future__ import annotations

import ast
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import golden
import pytest

from qalign.world import VERSION, sets
from qalign.world.text import Document

WORLD = Path(sets.__file__).parent
MODULES = sorted(WORLD.rglob("*.py"))
SMALL = [name for name in golden.known_sets() if name not in golden.LARGE]


def compare(name: str, found: str) -> None:
    version, known = golden.read()
    assert version == VERSION, f"golden.json is of version {version}: write it anew with `{golden.SCRIPT}`"
    assert found == known[name], (
        f"the bytes of '{name}' have changed, and version {VERSION} names the old ones: count VERSION up in "
        f"src/qalign/world/sets.py, then `{golden.SCRIPT}`"
    )


def test_every_set_is_pinned() -> None:
    assert list(golden.read()[1]) == golden.known_sets()


@pytest.mark.parametrize("name", SMALL)
def test_the_bytes_are_those_of_the_version(name: str) -> None:
    compare(*next(golden.hashes([name])))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["metamathqa", "mathinstruct"])
def test_the_bytes_of_a_large_english_set_are_those_of_the_version(name: str) -> None:
    compare(*next(golden.hashes([name])))


@pytest.mark.slow
def test_the_bytes_of_the_whole_text_are_those_of_the_version(
    text_documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sets, "documents", lambda count, languages: iter(text_documents))
    compare(*next(golden.hashes(["text"])))


def test_another_process_makes_the_same_bytes_from_the_standard_library_alone() -> None:
    """With other hashes of texts, so another order of every set; in another locale; and without a single installed package."""
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "import golden\n"
        "for name, found in golden.hashes(sys.argv[3:]): print(found, name, sep='\\t')\n"
        "from importlib.machinery import PathFinder\n"
        "assert PathFinder.find_spec('rich') is None, 'installed packages are in reach'\n"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-S", "-c", script, Path(golden.__file__).parent, golden.REPOSITORY / "src", *SMALL],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": "C", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": ""},
        )
        assert done.returncode == 0, done.stderr
        made = dict(line.split("\t")[::-1] for line in done.stdout.splitlines())
        assert list(made) == SMALL
        for name, found in made.items():
            compare(name, found)


# --- what could vary --------------------------------------------------------------------------------------------------

ALLOWED_MODULES = {
    "__future__", "collections", "dataclasses", "fractions", "functools", "hashlib", "importlib", "itertools", "operator",
    "qalign", "random", "typing",
}  # fmt: skip
VARYING_CALLS = {"hash", "id", "vars", "dir", "open", "input", "globals", "locals"}
ORDER_KEEPING = {"sorted", "len", "set", "frozenset", "any", "all", "sum", "min", "max", "isinstance"}
"""What may be done with a set as a whole: its order does not show."""


def what_may_vary(source: str) -> Iterator[str]:
    """Whatever in a module could give other bytes elsewhere: clocks, machines, other uses of `random`, the order of a set."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    sets_known = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and is_set(node.value, set())
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            inside = isinstance(node, ast.ImportFrom) and node.level > 0
            yield from (
                f"import of {name}" for name in names if not inside and name.split(".")[0] not in ALLOWED_MODULES
            )
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in VARYING_CALLS:
            yield f"{node.func.id}()"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
            above = parents[parents[node]]
            if not (node.attr == "Random" and isinstance(above, ast.Attribute) and above.attr == "random"):
                yield f"random.{node.attr}, of which only Random(seed).random is promised to stay"
        elif is_set(node, sets_known) and order_shows(node, parents[node]):
            yield f"the order of a set: {ast.unparse(parents[node])[:80]}"


def is_set(node: ast.AST, known: set[str]) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset")
    if isinstance(node, ast.BinOp):
        return is_set(node.left, known) or is_set(node.right, known)
    return isinstance(node, ast.Set | ast.SetComp) or (isinstance(node, ast.Name) and node.id in known)


def order_shows(node: ast.AST, above: ast.AST) -> bool:
    """Whether the set is gone through where the order in which that happens may be seen."""
    if isinstance(above, ast.For | ast.comprehension):
        return above.iter is node
    if isinstance(above, ast.Call):
        return node in above.args and not (isinstance(above.func, ast.Name) and above.func.id in ORDER_KEEPING)
    return isinstance(above, ast.Starred)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(WORLD).as_posix())
def test_nothing_in_the_source_varies(path: Path) -> None:
    assert list(what_may_vary(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time", "from os import urandom", "import numpy", "import datetime as d",
        "import random\nrandom.choice([1])", "import random\nrandom.Random(1).shuffle([1])", "import random\nrandom.seed(1)",
        "hash('a')", "id(x)",
        "for x in {1, 2}: print(x)", "y = [x for x in set(z)]", "KNOWN = frozenset('ab')\ny = list(KNOWN)",
        "KNOWN: set[str] = {x for x in z}\ny = ', '.join(KNOWN)", "y = [*(set(a) - b)]", "y = draw.one(set(a))",
    ],
)  # fmt: skip
def test_what_varies_is_found(source: str) -> None:
    assert list(what_may_vary(source))


@pytest.mark.parametrize(
    "source",
    [
        "KNOWN = frozenset('ab')\ny = x in KNOWN",
        "y = sorted(set(a) - set(b))",
        "import random\nr = random.Random(s).random",
    ],
)
def test_what_does_not_vary_is_let_be(source: str) -> None:
    assert not list(what_may_vary(source))


def test_python_draws_the_numbers_that_it_promises() -> None:
    """The one promise that the world stands on: `random.Random(text).random()` stays as it is."""
    draw = random.Random("world").random
    assert [draw() for _ in range(3)] == [0.8706040807149262, 0.8602161172760855, 0.22425873128749207]
