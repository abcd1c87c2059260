"""The help of every verb: what it shows, that it fits, that its examples can be typed; and what mistyped words are answered."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from qalign.cli import app
from qalign.cli.help import EXAMPLES

TOP: Any = typer.main.get_command(app)


def verbs(group: Any = TOP, before: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each verb by its words, such as `world show`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from verbs(command, (*before, name))
        else:
            yield " ".join((*before, name)), command


VERBS = dict(verbs())


def qalign(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "qalign", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "80", **environment},
    )


def shown(help_text: str) -> set[str]:
    return set(re.findall(r"^  (--[a-z][a-z-]*)", help_text, re.MULTILINE))


@pytest.mark.parametrize("verb", ["", "world", *VERBS])
def test_help_fits_80_columns_and_shows_an_example(verb: str) -> None:
    done = qalign(*verb.split(), "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 80
    if verb in VERBS:
        assert re.search(rf"Examples?:\n\n(?:.*\n)+    qalign {verb}\b", done.stdout)


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        ("help", ""),
        ("-h", ""),
        ("help run", "run"),
        ("run -h", "run"),
        ("help world show", "world show"),
        ("world help show", "world show"),
    ],
)
def test_help_can_be_asked_for_in_other_words(words: str, verb: str) -> None:
    done = qalign(*words.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == qalign(*verb.split(), "--help").stdout


@pytest.mark.parametrize("verb", VERBS)
def test_an_example_can_be_typed(verb: str) -> None:
    assert EXAMPLES[verb]
    for _, line in EXAMPLES[verb]:
        program, *words = shlex.split(line)
        assert (program, words[: len(verb.split())]) == ("qalign", verb.split())
        VERBS[verb].make_context(verb, words[len(verb.split()) :])


def test_help_shows_the_options_that_a_verb_uses_in_groups() -> None:
    run = qalign("run", "--help").stdout
    assert re.findall(r"^([A-Z]\w+):$", run, re.MULTILINE) == [
        "Arguments",
        "Data",
        "Training",
        "Execution",
        "Output",
        "Other",
    ]
    assert {"--limit", "--base", "--processes", "--output"} <= shown(run)
    measured = shown(qalign("eval", "--help").stdout)
    assert {"--endpoint", "--test", "--limit", "--batch-size", "--seed"} <= measured
    assert not measured & {"--base", "--processes", "--questions", "--english", "--languages", "--tracker"}
    assert not shown(qalign("explain", "--help").stdout) & {"--tracker", "--device", "--quiet", "--output"}
    assert not shown(qalign("adopt", "--help").stdout) & {
        "--device",
        "--processes",
        "--jobs",
        "--batch-size",
        "--limit",
    }


def test_list_shows_one_section_or_all() -> None:
    everything, languages = qalign("list").stdout, qalign("list", "languages").stdout
    assert "ไทย" in languages and "msvamp" not in languages
    assert "ไทย" in everything and "msvamp" in everything


@pytest.mark.parametrize("verb", ["plan", "explain"])
def test_the_line_of_a_run_serves_for_its_plan(verb: str) -> None:
    options = {option for parameter in VERBS["run"].params for option in parameter.opts}
    assert options <= {option for parameter in VERBS[verb].params for option in parameter.opts}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rnu", "there is no verb 'rnu': did you mean 'run'? See `qalign --help`."),
        ("world shwo", "there is no verb 'shwo': did you mean 'show'? See `qalign world --help`."),
        ("zzz", "there is no verb 'zzz': known: adopt, check, "),
        ("run qalign-mono --baes x", "no option '--baes' here: did you mean '--base'? See `qalign run --help`."),
        ("plan qalign-mono --lmiit 3", "did you mean '--limit'?"),
        ("--verison", "did you mean '--version'?"),
        ("world show --lanugages sw", "did you mean '--languages'? See `qalign world show --help`."),
        ("run qalign-mono --scale", "Option '--scale' requires an argument. See `qalign run --help`."),
        ("eval model --base x", "there is no option '--base' here: `qalign run` has it. See `qalign eval --help`."),
        ("list systemz", "nothing is listed under 'systemz': did you mean 'systems'?"),
        ("list zzz", "nothing is listed under 'zzz': known: bases, benchmarks, checkpoints, "),
        (
            "check x --role test --data a --data b",
            "--data stands 2 times, and takes one value: give it once. See `qalign check",
        ),
        ("reproduce --seeds 1 --seeds 2", "--seeds stands 2 times, and takes one value: give it once."),
        ("run sft --english a --english b", "--english stands 2 times, and takes one value: give it once."),
        ("plan sft --set=", "--set is empty; give it a value, or leave it out"),
        ("score answers.csv --join=", "--join is empty; give it a value, or leave it out"),
        ("check x --format csv", "there is no option '--format' here: `qalign report` has it."),
    ],
)
def test_a_mistyped_word_is_answered_with_the_nearest_one(words: str, said: str) -> None:
    done = qalign(*words.split())
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr and done.stderr.startswith("qalign: error: ")


def test_languages_may_be_repeated() -> None:
    done = qalign("check", "world-mgsm", "--role", "test", "--languages", "de", "--languages", "sw th")
    assert [code for code in ("de", "fr", "sw", "th") if f"\n{code} " in done.stdout] == ["de", "sw", "th"]


def completions(*words: str) -> list[str]:
    """What the shell offers for the last word, and that nothing heavy is imported for it."""
    program = (
        "import atexit, sys\n"
        "heavy = ('torch', 'transformers', 'numpy', 'pyarrow', 'datasets')\n"
        "atexit.register(lambda: [print('HEAVY', name) for name in heavy if name in sys.modules])\n"
        "from qalign.cli import main\n"
        "main()\n"
    )
    line = {"COMP_WORDS": " ".join(["qalign", *words]), "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "_QALIGN_COMPLETE": "complete_bash", **line},
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("re",), {"report", "reproduce"}),
        (("run", "qalign-m"), {"qalign-mono", "qalign-mixed"}),
        (("run", "--lang"), {"--languages", "--language-file"}),
        (("run", "monoreason", "--scale", "s"), {"sample"}),
        (("eval", "model", "--test", "ms"), {"msvamp"}),
        (("plan", "monoreason", "--languages", "bn,s"), {"bn,sw"}),
        (("run", "monoreason", "--device", "c"), {"cpu", "cuda"}),
        (("check", "world-f"), {"world-flores"}),
        (("report", "results.json", "--format", "l"), {"latex"}),
        (("world", "s"), {"show"}),
        (("list", "l"), {"languages"}),
    ],
)
def test_a_shell_completes_verbs_options_and_names(words: tuple[str, ...], offered: set[str]) -> None:
    found = set(completions(*words))
    assert offered <= found and not any(name.startswith("HEAVY") for name in found)


def test_a_shell_offers_no_hidden_option() -> None:
    assert "--tracker" not in completions("explain", "monoreason", "--t")
