"""Examples of each verb, which its help and docs/cli.md show."""

from __future__ import annotations

import shlex
import textwrap

WIDTH = 78
"""Characters in a line of an example, so that help fits a terminal of 80 columns."""

TEXT = """
[run]
Two systems from a model of the hub, on 8 devices:
  qalign run monoreason qalign-mono --base meta-llama/Llama-2-7b-hf --processes 8
Your own data, in Vietnamese and Indonesian:
  qalign run qalign-mono --base MODEL --questions DIR --english FILE --languages vi,id --test DIR
One system twice, with different settings:
  qalign run monoreason slow=monoreason --set slow.response-alignment.learning_rate=1e-6
A study that is kept in a file, on fewer problems:
  qalign run study.toml --limit 20
[plan]
The line of a run, with `plan` in the place of `run`:
  qalign plan qalign-mono --base meta-llama/Llama-2-7b-hf --processes 8
For another machine, of 8 devices with 80 GB:
  qalign plan qalign-mono --base meta-llama/Llama-2-7b-hf --devices 8 --device-memory 80
[explain]
Why a changed setting makes stages run again:
  qalign explain qalign-mono --base tiny --set question-alignment.epochs=2
[adopt]
Take your own checkpoint as the last stage of a system:
  qalign adopt qalign-mono ./my-checkpoint --base meta-llama/Llama-2-7b-hf
[eval]
A checkpoint in two languages, on the first 50 problems of each test set:
  qalign eval ./my-checkpoint --test mgsm --test-languages en,sw --limit 50
Two checkpoints in one table, with tests of their differences:
  qalign eval ./before ./after --name before --name after --test mgsm
A model on a server:
  qalign eval my-model --endpoint http://localhost:8000/v1
[score]
Answers in Swahili that you have already:
  qalign score answers.csv --language sw --benchmark mgsm
Answers to a test set of your own:
  qalign score answers.csv --language sw --test my-tests.csv
Answers without ids, which stand in the order of the problems:
  qalign score answers.csv --language sw --benchmark mgsm --join order
[check]
Your own test set, before a run:
  qalign check ./my-tests --role test --languages vi,id
[report]
The tables of a run for a paper:
  qalign report runs/results/RUN/results.json --format latex
Two runs in one table, with tests of their differences:
  qalign report runs/results/RUN other/results/RUN --name before --name after
[demo]
The study in miniature, from a fixed seed:
  qalign demo --seed 7 --jobs 2
[reproduce]
Two systems under two seeds:
  qalign reproduce --seeds 1,2 --system monoreason --system qalign-mono
[runs]
What there is, with sizes:
  qalign runs
Free what no run needs:
  qalign runs remove --unneeded
[runs remove]
Two runs by name, as `qalign runs` lists them:
  qalign runs remove run-1a2b3c4d run-5e6f7a8b
[list]
All systems:
  qalign list systems
What --set can change:
  qalign list settings
[doctor]
Before the first run, with the folder of its stages:
  qalign doctor --runs /data/runs
[world show]
Two problems in English and Swahili:
  qalign world show --languages en,sw --count 2
[world write]
The Swahili corpora as files:
  qalign world write ./world --languages sw
[world base]
Train the base and keep a copy:
  qalign world base ./my-base
[world probe]
The shipped base next to your own:
  qalign world probe world ./my-base
"""
"""Per verb: what each example is for, and below it the command line."""


EXAMPLES: dict[str, list[tuple[str, str]]] = {}
for _section in TEXT.split("\n[")[1:]:
    _verb, *_lines = _section.splitlines()
    EXAMPLES[_verb.rstrip("]")] = list(zip(_lines[::2], map(str.strip, _lines[1::2]), strict=True))


def epilog(verb: str) -> str:
    """The examples of a verb, as its help shows them."""
    blocks = [f"\b\n{purpose}\n{_folded(command)}" for purpose, command in EXAMPLES[verb]]
    return "\n\n".join([f"Example{'s' if len(blocks) > 1 else ''}:", *blocks])


def _folded(command: str) -> str:
    """A command line in lines that fit, each but the last with a backslash at its end. A value stays with its option."""
    words = [word if word.startswith("-") else f"\xa0{word}" for word in shlex.split(command, posix=False)]
    joined = " ".join(words).replace(" \xa0", "\xa0").lstrip("\xa0")
    wrapper = textwrap.TextWrapper(WIDTH - 2, "  ", "      ", break_long_words=False, break_on_hyphens=False)
    return " \\\n".join(wrapper.wrap(joined)).replace("\xa0", " ")
