"""Recipes of one's own: no file beside one replaces a library, and each mistake in one is a line that says where."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from own_data import OwnData

GOOD = """
import siblings.data, beside
from qalign.pipeline import Stage
from qalign.systems.artifacts import Model
from dataclasses import dataclass
@dataclass(frozen=True, eq=False, kw_only=True)
class One(Stage[Model]):
    def run(self, work):
        (work.output / "made.txt").write_text(beside.WORD)
@dataclass(frozen=True, eq=False, kw_only=True)
class Top(Stage[Model]):
    parts: dict
    def run(self, work):
        pass
def recipe(study):
    return Top(name="top", parts={name: One(name=f"one-{name}") for name in "ab"})
"""
STAGE = """from qalign.pipeline import Stage
from qalign.systems.artifacts import Model
from dataclasses import dataclass
@dataclass(frozen=True, eq=False, kw_only=True)
class Mine(Stage[Model]):
    name: str = "x"
    what: object = None
    def run(self, work):
        pass
"""
LIBRARIES = (
    "types", "numbers", "json", "torch", "random", "typing", "errors", "pickle", "signal", "struct", "logging",
    "tokenizers", "rich",
)  # fmt: skip


def qalign(
    folder: Path, *words: str, program: tuple[str, ...] = (sys.executable, "-m", "qalign")
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def options(data: OwnData, folder: Path) -> list[str]:
    return ["--test", str(data.test), "--test-languages", "de,en", "--runs", str(folder / "runs"), "--scale", "sample"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of recipes, with modules of their own, and files that have the names of libraries."""
    for name in LIBRARIES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the file {name}.py took the place of a library')\n")
    (tmp_path / "siblings").mkdir()
    (tmp_path / "siblings" / "__init__.py").write_text("")
    (tmp_path / "siblings" / "data.py").write_text(GOOD)
    (tmp_path / "beside.py").write_text("WORD = 'made by a module of my own'\n")
    (tmp_path / "mine.py").write_text(GOOD)
    return tmp_path


@pytest.mark.parametrize("recipe", ["mine:recipe", "siblings.data:recipe"])
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    "program",
    [(sys.executable, "-m", "qalign"), (str(Path(sys.executable).with_name("qalign")),)],
    ids=["m", "command"],
)
def test_no_file_beside_a_recipe_replaces_a_library(
    recipe: str, jobs: str, program: tuple[str, ...], folder: Path, own_data: OwnData
) -> None:
    if "-m" in program:
        (folder / "types.py").unlink()  # Python itself imports it from the current folder before it runs a module
    done = qalign(folder, "run", recipe, "--jobs", jobs, *options(own_data, folder), program=program)
    assert "took the place" not in done.stderr + done.stdout
    assert [path.read_text() for path in folder.glob("runs/stages/one-*/made.txt")] == [
        "made by a module of my own"
    ] * 2
    # This recipe trains nothing, so there is no model to ask.
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("qalign: error: "), done.stderr


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemExit(0)", "bad.py line 1: SystemExit: 0"),
        ("import sys\nsys.exit()", "bad.py line 2: SystemExit: no word"),
        ("class Stop(BaseException): pass\nraise Stop('so')", "bad.py line 2: Stop: so"),
        ("raise ValueError('a\\nb \\x1b]52;')", "bad.py line 1: ValueError: a b \\x1b]52;"),
        ("1 / 0", "bad.py line 1: ZeroDivisionError"),
        ("def recipe(study:\n", "bad.py line 1: SyntaxError"),
        ("import pandas_is_not_here", "bad.py line 1: ModuleNotFoundError: No module named 'pandas_is_not_here'"),
        ("x = 1", "bad.py has no 'recipe'"),
        ("recipe = 5", "'bad:recipe' is not a function"),
        ("def recipe(study):\n    raise SystemExit(0)", "bad.py line 2: SystemExit: 0"),
        ("def recipe(study):\n    return study.trian()", "bad.py line 2: AttributeError: 'Study' object has"),
        ("def recipe(study):\n    return study.train('x', None, None, 'y')", "bad.py line 2: "),
        ("def recipe():\n    pass", "TypeError: recipe() takes 0 positional arguments"),
        ("def recipe(study):\n    recipe(study)", "bad.py line 2: RecursionError"),
        ("def recipe(study):\n    yield study.base", "returned generator"),
        ("async def recipe(study):\n    return study.base", "returned coroutine"),
        ("async def recipe(study):\n    yield study.base", "returned async_generator"),
        ("def __getattr__(name): raise RuntimeError('so')", "bad.py line 1: RuntimeError: so"),
        ("class Odd:\n    def __getattribute__(self, name): raise ValueError('so')\n    def __call__(self, study): pass\n"
         "recipe = Odd()", "the recipe 'bad:recipe' returned NoneType"),
        ("class Odd(Exception):\n    def __str__(self): raise self\ndef recipe(study):\n    raise Odd", "Odd: no word"),
        ("__file__ = 5", "'bad' is a library"),
        ("import sys\nsys.stdout = sys.stderr = None\n1 / 0", "bad.py line 3: ZeroDivisionError"),
        ("import sys\nfrom qalign.systems.recipes import sft as recipe\nsys.stdout.close()", "standard output was closed"),
        (STAGE + "def recipe(study):\n    return Mine(name='../../x')", "the stage '../../x', whose name"),
        (STAGE + "def recipe(study):\n    return Mine(name='a\\n\\x1b')", "the stage 'a\\n\\x1b', whose name"),
        ("def recipe(study):\n    return None", "returned NoneType; return the last training stage"),
        ("def recipe(study):\n    return [study.base]", "returned list"),
        ("def recipe(study):\n    return study.english_answers()", "which makes no model"),
        (STAGE + "def recipe(study):\n    return Mine(what={1, 2})", "config.what is a set"),
        (STAGE + "def recipe(study):\n    return Mine(what=recipe)", "what is a function"),
        (STAGE + "x = {}\nx['x'] = Mine(what=x)\ndef recipe(study):\n    return x['x']", "RecursionError"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_recipe_is_one_line(code: str, says: str, own_data: OwnData, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(code)
    done = qalign(
        tmp_path, "plan", "bad:recipe", "--base", "tiny", *own_data.options("english"), *options(own_data, tmp_path)
    )
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("qalign: error: ") and says in line and len(line) < 700


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_mistake_in_a_stage_of_ones_own_is_one_line(jobs: str, own_data: OwnData, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(GOOD.replace("import siblings.data, beside\n", "").replace("beside.WORD", "5 / 0"))
    done = qalign(tmp_path, "run", "bad:recipe", "--quiet", "--jobs", jobs, *options(own_data, tmp_path))
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert (
        line.startswith("qalign: error: bad:One failed: ")
        and "bad.py line 8: ZeroDivisionError: division by zero" in line
    )


def test_a_recipe_with_the_name_of_a_library_is_named(own_data: OwnData, tmp_path: Path) -> None:
    (tmp_path / "numbers.py").write_text("def recipe(study):\n    return study.base\n")
    done = qalign(tmp_path, "plan", "numbers:recipe", *options(own_data, tmp_path))
    assert done.returncode == 2
    assert "'numbers' is a library" in done.stderr and f"rename {tmp_path / 'numbers.py'}" in done.stderr
