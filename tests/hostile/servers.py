"""`qalign eval --endpoint` with servers that misbehave: said in one line, nothing lost, and the next run goes on."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from .behaviours import FAULTS, ODD, SECRET
from .kills import asked_again, asked_and_kept, link, log_of, pipelines, same_results, trial_of
from .reports import anything
from .trial import Call, Check, Outcome, Run, Trial, judged, mishap, said

SECONDS = 300.0
REPAIRED = ("content-parts", "content-surrogate", "content-low-surrogate")
PASSING = ("passing-", "silence", "close", "head-only", "drip-", "no-http", "http-garbage", "chunk-broken")


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """All trials of servers."""
    for name in FAULTS:
        if name in ODD:
            yield odd(name, fixtures)
        else:
            yield failing(name, fixtures)
        if name.startswith(PASSING) and name != "passing-retry-after-long":  # nobody waits a day
            yield passing(name, fixtures)
    yield missing(fixtures)
    yield password(fixtures)


def words_for(folder: Path, fixtures: Path, behaviour: str, address: str | None = None) -> Sequence[str]:
    """The evaluation of a served model, with short patience."""
    link(fixtures, folder)
    url = f"{address or os.environ['HOSTILE_SERVER']}/{behaviour}/{trial_of(folder)}/v1"
    return (*pipelines(url)["endpoint"], "--seconds-per-request", "4")


def failing(name: str, fixtures: Path) -> Trial:
    """A server that answers three questions, then fails for good; then one that is well."""

    def run(folder: Path, draw: random.Random) -> Run:
        key = {"OPENAI_API_KEY": SECRET}
        result = yield Call(words_for(folder, fixtures, name), seconds=SECONDS, environment=key)
        outcome = judged(result, refused=("127.0.0.1", "answer", "server"))
        if outcome.verdict != "refused rightly":
            return outcome
        if leak := leaked(folder, result.stdout + result.stderr):
            return Outcome("refused badly", leak)
        answered = asked_and_kept(folder)
        (folder / "asked-before").write_text(str(len(log_of(folder, fixtures))))
        if len(answered) < 3:
            return Outcome("answers lost", f"of 3 answers {len(answered)} were kept")
        result = yield Call(words_for(folder, fixtures, "well"), seconds=SECONDS)
        return (
            mishap(result)
            or asked_again(folder, fixtures, answered)
            or second(same_results(folder, result, fixtures, "endpoint"))
        )

    return Trial(f"servers/{name}", run, waits=True)


def second(outcome: Outcome) -> Outcome:
    """A run that went on to its right end after a refusal counts as that refusal."""
    return Outcome("refused rightly") if outcome.verdict == "accepted rightly" else outcome


def passing(name: str, fixtures: Path) -> Trial:
    """A server that fails each question once: it is asked again, and the results are the right ones."""

    def run(folder: Path, draw: random.Random) -> Run:
        result = yield Call(words_for(folder, fixtures, f"once-{name}"), seconds=SECONDS)
        return mishap(result) or same_results(folder, result, fixtures, "endpoint")

    return Trial(f"servers/once-{name}", run, waits=True)


def odd(name: str, fixtures: Path) -> Trial:
    """A server whose answers are odd: refused, or read; where the text is the right one, with the right results."""

    def run(folder: Path, draw: random.Random) -> Run:
        result = yield Call(words_for(folder, fixtures, name), seconds=SECONDS)
        check: Check = lambda r: same_results(folder, r, fixtures, "endpoint").why or None  # noqa: E731
        if name.startswith(("usage", "tokens", "content", "choices")):  # tokens are part of what is compared
            check = said if name in REPAIRED else anything
        outcome = judged(result, refused=("127.0.0.1", "answer", "server"), accepted=check)
        if outcome.verdict != "accepted rightly":
            return outcome
        result = yield Call(words_for(folder, fixtures, "well"), seconds=SECONDS)
        return mishap(result) or (outcome if result.status == 0 else Outcome("answers lost", result.stderr[-300:]))

    return Trial(f"servers/{name}", run, waits=True)


def missing(fixtures: Path) -> Trial:
    """No server at all: it is said within ten seconds, while tries go on, and then refused."""

    def run(folder: Path, draw: random.Random) -> Run:
        words = words_for(folder, fixtures, "well", "http://127.0.0.1:1")
        result = yield Call(words, seconds=12)
        if "127.0.0.1:1" not in result.stderr:
            return Outcome("hang", f"nothing said within 12 seconds: {result.stderr[-300:]!r}")
        result = yield Call(words, seconds=SECONDS)
        if outcome := mishap(result):
            return outcome
        lines = [line for line in result.stderr.splitlines() if line.startswith("qalign: error: ")]
        right = result.status == 2 and len(lines) == 1 and "127.0.0.1:1" in lines[0]
        return Outcome("refused rightly") if right else Outcome("refused badly", result.stderr[-500:])

    return Trial("servers/missing", run, waits=True)


def password(fixtures: Path) -> Trial:
    """A password in the server's URL is in no file and no message, whether it answers or not."""

    def run(folder: Path, draw: random.Random) -> Run:
        address = os.environ["HOSTILE_SERVER"].replace("://", f"://user:{SECRET}@")
        for behaviour in ("status-400", "well"):
            result = yield Call(words_for(folder, fixtures, behaviour, address), seconds=SECONDS)
            if outcome := mishap(result):
                return outcome
            if leak := leaked(folder, result.stdout + result.stderr):
                return Outcome("refused badly", leak)
        return Outcome("accepted rightly") if result.status == 0 else Outcome("refused badly", result.stderr[-300:])

    return Trial("servers/password", run, waits=True)


def leaked(folder: Path, said: str) -> str | None:
    """Where the key that was given can be read."""
    if SECRET in said:
        return "the key was printed"
    for path in folder.rglob("*"):
        if path.is_file() and SECRET.encode() in path.read_bytes():
            return f"the key stands in {path.relative_to(folder)}"
    return None
