"""Programs of a model: nothing gets out of the sandbox, nothing hangs, and without a sandbox nothing is run."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from qalign.evaluation import sandbox
from qalign.evaluation.sandbox import Ran, printed_number, program_of, run_all

GOLD = "73914682"
PLAIN = "apples = 6\neach = 7\nprint(apples * each)"
OTHERS = {
    "import sympy\nx = sympy.Symbol('x')\nprint(sympy.solve(2 * x - 7, x))": "3.5000",
    "import numpy as np\nprint(np.array([1, 2, 4]).sum())": "7",
    "print(sum(n * n for n in range(4)))": "14",
    "from fractions import Fraction\nprint(Fraction(3, 4) * 4)": "3",
    "class A:\n    n = 5\nprint(f'{A.n:.1f}')": "5",
    "import sys\nprint(8)\nsys.exit()": "8",
}


@pytest.fixture(autouse=True)
def looks_again() -> Iterator[None]:
    """What is known of the sandbox of this machine is forgotten before and after."""
    sandbox.fault.cache_clear()
    yield
    sandbox.fault.cache_clear()


@pytest.fixture
def with_sandbox() -> None:
    if reason := sandbox.fault():
        pytest.skip(reason)


@pytest.fixture
def without_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A server that counts who comes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.01)
        yield listening


@pytest.fixture
def prey(tmp_path: Path, server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a secret, which is in the environment too."""
    folder = tmp_path / "prey"
    folder.mkdir()
    (folder / "secret.txt").write_text(GOLD)
    monkeypatch.setenv("SECRET_NUMBER", GOLD)
    return folder


def programs_against(folder: Path, server: socket.socket) -> list[tuple[str, str]]:
    """Kind and text of each hostile program. SECRET, FOLDER and PORT are what it is after: a file, its folder, a server. The
    file holds the gold answer. Many are escapes that smolagents, RestrictedPython and other evaluators of Python have had."""
    places = {"SECRET": str(folder / "secret.txt"), "FOLDER": str(folder), "PORT": str(server.getsockname()[1])}
    named = re.compile(r"\b(SECRET|FOLDER|PORT)\b")
    rows = map(json.loads, (Path(__file__).with_name("hostile_programs.jsonl")).read_text().splitlines())
    return [(row["kind"], named.sub(lambda found: places[found[1]], row["program"])) for row in rows]


def check_that_nothing_got_out(folder: Path, server: socket.socket, ends: list[Ran]) -> None:
    assert [path.name for path in folder.iterdir()] == ["secret.txt"]
    assert (folder / "secret.txt").read_text() == GOLD
    assert [end for end in ends if end.number == GOLD] == []
    with pytest.raises(TimeoutError):
        server.accept()


def left_over(mark: str) -> list[str]:
    """The processes whose command has a mark."""
    commands = [path / "cmdline" for path in Path("/proc").iterdir() if path.name.isdecimal()]
    texts = [command.read_bytes().decode(errors="replace") for command in commands if command.exists()]
    return [text for text in texts if mark in text]


@pytest.mark.slow
def test_200_hostile_programs_stay_inside(
    with_sandbox: None, prey: Path, server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = 2**30 - 4096 * os.getpid()
    monkeypatch.setattr(sandbox, "SECONDS", 1)
    monkeypatch.setattr(sandbox, "ROOM", mark)  # by which the processes of this test are known
    programs = programs_against(prey, server)
    assert len({text for _, text in programs}) == 200
    ends = run_all([*(text for _, text in programs), PLAIN])
    check_that_nothing_got_out(prey, server, ends)
    assert ends.pop() == Ran("ran", "42"), "the sandbox works still"
    assert left_over(str(mark)) == []
    counts = Counter(end.end for end in ends)
    assert counts["refused"] == counts["no program"] == 0
    assert {end.end for (kind, _), end in zip(programs, ends, strict=True) if kind in ("reads", "network", "escapes")} <= {
        "error", "no number", "ran"
    }  # fmt: skip


def test_without_bubblewrap_200_hostile_programs_are_refused(
    prey: Path, server: socket.socket, without_bubblewrap: None
) -> None:
    programs = programs_against(prey, server)
    ends = run_all([text for _, text in programs])
    check_that_nothing_got_out(prey, server, ends)
    counts = Counter(end.end for end in ends)
    assert counts["refused"] >= 160
    assert counts["time-out"] >= 5, "endless plain programs"
    assert counts["ran"] <= 3
    assert sandbox.fault() == "bubblewrap is not installed (apt install bubblewrap)"


@pytest.mark.skipif(shutil.which("bwrap") is None or shutil.which("unshare") is None, reason="needs bwrap and unshare")
def test_forbidden_namespaces_are_told(tmp_path: Path) -> None:
    """As in a container: the system lets nobody make a namespace."""
    asked = (
        "from qalign.evaluation.sandbox import fault, run_all\nprint(fault())\nprint(run_all(['import os\\nprint(5)']))"
    )
    forbid = "echo 0 > /proc/sys/user/max_user_namespaces && exec"
    script = f'{forbid} {sys.executable} -c "$0"'
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", script, asked], capture_output=True, text=True)
    if "unshare" in done.stderr or "max_user_namespaces" in done.stderr:
        pytest.skip("nobody may make a namespace here to begin with")
    first, second = done.stdout.splitlines()
    assert first.startswith("bubblewrap does not work here: bwrap: ")
    assert "namespace" in first
    assert "refused" in second


def test_plain_programs_need_no_sandbox(without_bubblewrap: None) -> None:
    assert run_all([PLAIN, "x = 1 / 0\nprint(x)", "while True:\n    pass\nprint(1)", "print('none')", "I add 3 to 4."]) == [
        Ran("ran", "42"), Ran("error"), Ran("time-out"), Ran("no number"), Ran("no program"),
    ]  # fmt: skip


def test_other_programs_run_in_the_sandbox(with_sandbox: None) -> None:
    assert run_all(OTHERS) == [Ran("ran", number) for number in OTHERS.values()]


def test_imports_count_not_against_the_limit_of_time(with_sandbox: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 1)
    counted = "import sympy, time\nprint(int(time.process_time() < 60))\nprint(int(time.thread_time()))"
    spun = "import sympy\nwhile True:\n    sympy.Symbol('x')\nprint(1)"
    assert [end.end for end in run_all([counted, spun])] == ["ran", "time-out"]


def test_a_sandbox_that_ends_is_replaced(with_sandbox: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that takes the sandbox with it is an error; the next one runs."""
    monkeypatch.setattr(sandbox, "cores", lambda: 1)
    with sandbox._Sandboxes() as sandboxes:
        assert sandboxes.run("import numpy\nprint(2)") == ("ran", "2\n")
        sandboxes._idle[0]._process.kill()
        assert sandboxes.run("import numpy\nprint(2)")[0] == "error"
        assert sandboxes.run("import numpy\nprint(3)") == ("ran", "3\n")


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("print(5)", "print(5)"),
        ("It is 5.", None),
        ("Here it is:\n```python\nprint(5)\n```\nThat is 5.", "print(5)\n"),
        ("```\nx = 1\n```\n```py\nprint(x)\n```", "print(x)\n"),
        ("```python\nprint(5)", "print(5)"),
        ("print(5)\n### Instruction:\nprint(6)", "print(5)\n"),
    ],
)
def test_the_program_in_an_answer(text: str, program: str | None) -> None:
    assert program_of(text) == program


@pytest.mark.parametrize(
    ("printed", "number"),
    [
        ("18\n", "18"), ("18.0\n", "18"), ("-3\n", "-3"), ("1,200\n", "1200"), ("x = 5\n", "5"), ("[7/2]\n", "3.5000"),
        ("2.125\n", "2.1250"), ("1e3\n", "1000"), ("3 4\n", "3"), ("none\n", None), ("", None), ("nan\n", None), ("5/0\n", None),
        ("1e999\n", None), ("The total is $18.50.\n", "18.5000"), ("a = 1, b = 2\n", "2"),
    ],
)  # fmt: skip
def test_the_number_that_a_program_printed(printed: str, number: str | None) -> None:
    assert printed_number(printed) == number
