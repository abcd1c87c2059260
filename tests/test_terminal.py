"""What is printed, on standard streams of every kind: closed, full, broken, in an encoding with few characters, or a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qalign import terminal
from qalign.errors import DataError
from qalign.progress import Bar

COMMAND = f"{sys.executable} -m qalign"
OSC, HIDDEN = "\x1b]52;c;cm0gLXJmIH4=\x07", "\u202egnp.exe\udcff"
"""What writes into a clipboard; what shows a name backwards, with a byte that is no UTF-8."""


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["bash", "-c", line], capture_output=True, timeout=60, env={**os.environ, **environment})


@pytest.fixture
def scripted(tmp_path: Path) -> str:
    """A command that measures a scripted model and prints its table."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "script.json").write_text(json.dumps({"answers": {}, "otherwise": "the answer is 1"}))
    row = {"id": "1", "question": "How many?", "answer": "1"}
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "th.jsonl").write_text(json.dumps(row) + "\n")
    return (
        f"{COMMAND} eval {tmp_path}/model --test {tmp_path}/own --test-languages th --scale sample --runs {tmp_path}/runs "
        "--set generation.backend=scripted"
    )


@pytest.mark.parametrize(
    ("end", "environment", "status"),
    [
        (">/dev/full", {}, 2),
        (">&-", {}, 0),
        (">&- 2>&-", {}, 0),
        ("2>/dev/full", {}, 0),
        ("| true; exit ${PIPESTATUS[0]}", {}, 141),
        ("2>&1 | true; exit ${PIPESTATUS[0]}", {}, 141),
        ("", {"PYTHONIOENCODING": "ascii"}, 0),
        ("", {"PYTHONIOENCODING": "latin-1"}, 0),
        ("", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, 0),
    ],
)
def test_results_are_written_whatever_standard_output_is(
    scripted: str, end: str, environment: dict[str, str], status: int, tmp_path: Path
) -> None:
    done = shell(f"{scripted} {end}", **environment)
    assert done.returncode == status, done
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr
    (results,) = tmp_path.glob("runs/results/*/results.json")
    assert json.loads(results.read_text(encoding="utf-8"))["systems"]["model"]["own"]["th"]["n"] == 1
    if end == ">/dev/full":
        assert (
            done.stderr.decode().splitlines()[-1].startswith("qalign: error: cannot write to standard output (No space")
        )
    if environment:
        assert b"th ? s.e." in done.stdout or "th ± s.e.".encode("latin-1") in done.stdout


@pytest.mark.parametrize("words", ["list", "--help", "--version", "run --help", "list --help"])
def test_a_reader_that_has_gone_and_a_full_disk_are_no_traceback(words: str) -> None:
    assert shell(f"{COMMAND} {words} >/dev/full").returncode == 2
    gone = shell(f"{COMMAND} {words} | true; exit ${{PIPESTATUS[0]}}")
    assert gone.returncode in (1, 141) and gone.stderr == b""


def test_what_is_opened_first_does_not_get_what_is_printed(tmp_path: Path) -> None:
    code = "from qalign import terminal as t; t.prepare(); f = open('made', 'w'); print('printed', flush=True); f.write('kept')"
    done = shell(f'cd {tmp_path}; {sys.executable} -c "{code}" >&-')
    assert done.returncode == 0, done
    assert (tmp_path / "made").read_text() == "kept"


@pytest.mark.parametrize(
    "words", ["'{}'", "list '{}'", "list '--{}'", "run '{}'", "score '{}.jsonl' --language en", "report '{}'"]
)
def test_what_a_user_gave_does_not_steer_the_terminal(words: str, tmp_path: Path) -> None:
    done = shell(f"cd {tmp_path}; {COMMAND} {words.format(OSC)}")
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr + done.stdout and b"\\x1b]52" in done.stderr


def test_an_argument_without_utf_8_is_refused_before_any_work(tmp_path: Path) -> None:
    done = shell(f"cd {tmp_path}; {COMMAND} score $'\\xff.jsonl' --language en")
    assert done.returncode == 2
    assert done.stderr.startswith(b"qalign: error: the argument '\\udcff.jsonl' holds half of a surrogate pair")


def test_an_error_does_not_steer_the_terminal_or_show_a_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cr3t-key")
    with pytest.raises(SystemExit), terminal.faults_in_words():
        raise DataError(f"{OSC} {HIDDEN}\nsecond s3cr3t-key http://me:pa55@host/v1")
    said = capsys.readouterr().err
    assert said == (
        "qalign: error: \\x1b]52;c;cm0gLXJmIH4=\\x07 \\u202egnp.exe\\udcff\\nsecond *** http://***@host/v1\n"
    )


def test_a_mistake_of_ours_shows_no_key(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cr3t-key")
    with pytest.raises(SystemExit) as end, terminal.faults_in_words():
        raise ValueError(f"{OSC} s3cr3t-key")
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert "Traceback" in said and "ValueError: \\x1b]52" in said and "s3cr3t" not in said.splitlines()[-1]


def test_a_bar_shows_a_title_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar(f"{OSC}[/bold]", 1) as bar:
        bar.advance(1)
    said = capsys.readouterr().err
    assert re.match(r"\d\d:\d\d:\d\d   ", said), "a log says when"
    assert said[11:].startswith("\\x1b]52;c;cm0gLXJmIH4=\\x07[/bold]: 1/1")


def in_a_terminal(code: str) -> str:
    """What a program writes to a terminal of its own."""
    main, other = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", code], stdout=other, stderr=other, env={**os.environ, "TERM": "xterm"}
    )
    os.close(other)
    written = b""
    try:
        while part := os.read(main, 4096):
            written += part
    except OSError:  # the other side is closed: the end
        pass
    assert done.wait() == 0, written
    return written.decode()


def test_in_a_terminal_colours_are_the_only_controls() -> None:
    code = (
        "from rich.text import Text; from qalign.terminal import show; "
        f"show(Text({OSC!r} + 'x', style='red'), 1); show({OSC!r} + '\\x1b[31mred')"
    )
    written = in_a_terminal(code)
    assert "\x1b[31m\\x1b]52;c;cm0gLXJmIH4=" in written and "\\x1b[31mred" in written
    assert "\x1b]" not in written and "\x07" not in written


def test_a_bar_in_a_terminal_shows_a_title_as_text() -> None:
    code = f"from qalign.progress import Bar\nwith Bar({OSC!r} + '[/bold]', 1) as bar: bar.advance(1, '[/x]')"
    written = in_a_terminal(code)
    assert "\\x1b]52;c;cm0gLXJmIH4=\\x07[/bold]" in written and "\x1b]" not in written


@pytest.mark.parametrize("raised", ["raise", "import typer; raise typer.Abort"])
def test_an_interruption_outside_of_a_command_is_one_line(raised: str) -> None:
    """Ctrl-C reaches Python while arguments are read too; there click has a word of its own for it."""
    program = (
        "from qalign import cli, terminal\n"
        "def app(**_):\n"
        "    try:\n"
        "        raise KeyboardInterrupt\n"
        f"    except KeyboardInterrupt:\n        {raised}\n"
        "cli.app = app\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr, done.stdout) == (
        130,
        "\nqalign: interrupted; give the same command again to go on\n",
        "",
    )


def test_a_fault_of_the_system_that_nobody_told_of_is_escaped_too() -> None:
    program = (
        "from qalign import cli\n"
        "def app(**_):\n"
        "    raise OSError(5555, 'strange \\x1b]52;c;x\\x07')\n"
        "cli.app = app\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert done.returncode == 1
    assert b"\x1b" not in done.stderr
    assert b"strange" in done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run monoreason --seed x", "--seed"),
        ("run monoreason --sead 3", "--sead"),
        ("run", "SYSTEM"),
        ("nothing", "nothing"),
        ("run monoreason --questions ''", "questions"),
        ("run monoreason --english ''", "english"),
        ("run monoreason --test ''", "test"),
        ("run ''", "systems"),
        ("reproduce --seeds " + "9" * 5000, "seeds"),
        ("world write w --languages xx", "xx"),
        ("world write /proc/x", "/proc/x"),
        ("score own/th.jsonl --language th --judgements own/th.jsonl", "judgements"),
        ("score own/th.jsonl --language th --judgements own/../own/th.jsonl", "judgements"),
        ("plan monoreason --base tiny --scale toy --set tiny.embedding_std=-1", "embedding_std"),
        ("plan monoreason --base tiny --scale toy --set data.max_repetition=-1", "max_repetition"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_writes_nothing(line: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "th.jsonl").write_text('{"id": "1", "response": "1", "gold": "1"}\n')
    done = shell(f"cd {tmp_path} && {COMMAND} {line}")
    assert done.returncode == 2
    message = done.stderr.decode()
    assert message.startswith("qalign: error: ")
    assert message.count("\n") == 1
    assert words in message
    assert done.stdout == b""
    assert [path.name for path in tmp_path.rglob("*")] == ["own", "th.jsonl"]


def test_no_arguments_show_the_help() -> None:
    assert b"qalign demo" in shell(f"{COMMAND} 2>&1").stdout
