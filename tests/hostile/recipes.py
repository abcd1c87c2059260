"""Recipes of a user's own that fail, end the program, return what is no stage, or lie beside files named as libraries."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from .kills import link
from .settings import PLAN
from .trial import Call, Result, Run, Trial, judged

RECIPE = "from qalign.systems.recipes import monoreason\n\n\ndef mine(study):\n    {body}\n"
RECIPES = {
    "exit": "import sys; sys.exit(0)", "exit-none": "import sys; sys.exit()", "exit-text": "raise SystemExit('x\\x1b[31m')", "exit-5": "raise SystemExit(5)",
    "raise": "raise ValueError('a\\nb')", "raise-escape": "raise ValueError('\\x1b]52;c;eA==\\x07')", "assert": "assert False", "key": "{}['x']",
    "recursion": "return mine(study)", "none": "return None", "number": "return 5", "text": "return 'monoreason'", "list": "return [monoreason(study)]",
    "class": "return Exception", "generator": "yield monoreason(study)", "no-such-name": "return nosuch(study)", "attribute": "return study.nosuch()",
    "wrong-call": "return study.train()", "wrong-stage": "return study.train('', None, None)", "corpus": "return study.english_answers()",
    "memory": "raise MemoryError", "base-exception": "raise BaseException('x')", "os-error": "open('nowhere')", "exit-in-thread": "import _thread; raise _thread.error('x')", "study": "return study",
}  # fmt: skip
MODULES = {
    "syntax": "def mine(study:\n", "indent": "def mine(study):\nreturn 5\n", "nul": "x = '\0'\n", "empty": "", "no-function": "mine = 5\n", "exit-on-import": "import sys; sys.exit(0)\n",
    "raise-on-import": "raise ValueError('x\\ny')\n", "missing-import": "import nosuchmodule\n", "latin-1": "# \xe9\nx = 'é'\n", "no-arguments": "def mine():\n    return 5\n", "escape-in-syntax": "def mine(\x1b[31m\n",
    "class": "class mine:\n    pass\n", "circular": "import mine_module\nmine_module.mine\n", "binary": "\x7fELF\x02",
}  # fmt: skip
SHADOWS = (
    "numbers",
    "json",
    "random",
    "typing",
    "torch",
    "filelock",
    "rich",
    "types",
    "dataclasses",
    "msgspec",
    "errors",
    "platform",
    "site",
    "string",
)


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """All trials of recipes."""
    for name, body in RECIPES.items():
        yield recipe_trial(name, fixtures, {"mine_module.py": RECIPE.format(body=body)}, ("",))
    for name, text in MODULES.items():
        yield recipe_trial(f"module-{name}", fixtures, {"mine_module.py": text}, ("",))
    good = RECIPE.format(body="return monoreason(study)")
    yield recipe_trial("good", fixtures, {"mine_module.py": good}, None)
    for name in SHADOWS:
        files = {
            "mine_module.py": good,
            f"{name}.py": "raise RuntimeError('a file beside a recipe took the place of a library')\n",
        }
        yield recipe_trial(f"shadow-{name}", fixtures, files, None)


def recipe_trial(name: str, fixtures: Path, files: dict[str, str], refused: Sequence[str] | None) -> Trial:
    def run(folder: Path, draw: random.Random) -> Run:
        link(fixtures, folder)
        for file, text in files.items():
            (folder / file).write_bytes(text.encode("latin-1" if "latin" in name else "utf-8"))
        result = yield Call(("plan", "mine_module:mine", *PLAN[2:]))
        accepted = None if refused is not None else _planned
        return judged(result, refused=refused, accepted=accepted)

    return Trial(f"recipes/{name}", run)


def _planned(result: Result) -> str | None:
    return None if "train-response-alignment" in result.stdout else f"no plan: {result.stdout[-300:]}"
