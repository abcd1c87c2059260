"""The claims of the study (arXiv 2401.07817, sections 4 and 5), each tested on what was measured here.

A claim is one test or several: differences between two systems over the same problems, pooled over seeds. It holds if every
one of its differences lies above its bound, with p below 5% after Holm's correction over all tests of the list, and under
every seed; it does not hold if one of them lies below its bound by more than chance; else it is not decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from ..evaluation.rules import MAIN
from ..evaluation.scores import NON_ENGLISH, plain
from ..evaluation.significance import Estimate, holm, pooled, t_test
from ..records import Judgement
from ..results.findings import bounds, p_text
from ..results.schema import ClaimTest, TestedClaim, Verdict
from ..results.titles import Titles

LEVEL = 0.05
ENGLISH_LOSS = 3.0
"""Points that QAlign may lose in English and still count as no worse there."""

Runs = Mapping[str, Mapping[str, Sequence[Judgement]]]
"""Seed -> system -> judgements, of one benchmark."""


@dataclass(frozen=True, slots=True)
class Claim:
    """`first` is above each of `others`: on the mean of the languages other than English, or `each` of them, or in English;
    in accuracy, or in `agreement` with the English answer; by more than `bound` points."""

    text: str
    first: str
    others: tuple[str, ...]
    languages: str = NON_ENGLISH
    agreement: bool = False
    bound: float = 0.0


CLAIMS = (
    Claim("QAlign is above MonoReason in each language other than English", "qalign-mono", ("monoreason",), "each"),
    Claim(f"QAlign loses no more than {ENGLISH_LOSS:g} points in English versus MonoReason", "qalign-mono", ("monoreason",),
          "en", bound=-ENGLISH_LOSS),
    Claim("QAlign is above MultiReason over the languages other than English", "qalign-mono", ("multireason",)),
    Claim("QAlign is above SFT over the languages other than English", "qalign-mono", ("sft",)),
    Claim("X->En questions align better than each of the four other alignments", "qalign-mono",
          ("qalign-en-x-questions", "qalign-x-en-answers", "qalign-en-x-answers", "qalign-general")),
    Claim("QAlign's answers agree with its English ones more than MonoReason's and MultiReason's do", "qalign-mono",
          ("monoreason", "multireason"), agreement=True),
    Claim("Mixed supervision is above monolingual supervision over the languages other than English", "qalign-mixed",
          ("qalign-mono",)),
)  # fmt: skip


Test = tuple[str, Estimate, float]
"""A difference of a claim: its name, what was found, and its p after the correction."""


def verdicts(runs_by_benchmark: Mapping[str, Runs], titles: Titles) -> list[TestedClaim]:
    """Each claim on each benchmark, with the verdict and the evidence; claims on systems that were not run are left out."""
    found = [
        (claim, benchmark, _differences(claim, runs, titles))
        for claim in CLAIMS
        for benchmark, runs in runs_by_benchmark.items()
        if _testable(claim, runs)
    ]
    adjusted = iter(holm([_p(one, claim.bound) for claim, _, differences in found for one in differences.values()]))
    made = []
    for claim, benchmark, differences in found:
        tests = [(name, one, next(adjusted)) for name, one in differences.items()]
        rows = [
            {"name": name, **plain(one), "p_adjusted": float(f"{p:.4g}"), "bound": claim.bound}
            for name, one, p in tests
        ]
        tested = TestedClaim(
            claim=f"{claim.text} ({titles.benchmark(benchmark)})", benchmark=benchmark, verdict=_verdict(claim, tests),
            evidence="; ".join(map(_evidence, tests)), tests=msgspec.convert(rows, list[ClaimTest]),
        )  # fmt: skip
        made.append(tested)
    return made


def _testable(claim: Claim, runs: Runs) -> bool:
    """Whether the systems of a claim were run, and measured in the languages that it speaks of."""
    systems = next(iter(runs.values()))
    if not {claim.first, *claim.others} <= set(systems):
        return False
    there = {one.language for one in systems[claim.first]}
    of_english, of_others = claim.agreement or claim.languages == "en", claim.languages != "en"
    return ("en" in there or not of_english) and (there != {"en"} or not of_others)


def _differences(claim: Claim, runs: Runs, titles: Titles) -> dict[str, Estimate]:
    there = dict.fromkeys(one.language for one in next(iter(runs.values()))[claim.first])
    codes = ["en"] if claim.languages == "en" else [code for code in there if code != "en"]
    groups = {code: [code] for code in codes} if claim.languages == "each" else {"": codes}
    return {
        f"{code} {f'versus {titles.system(other)}' * (len(claim.others) > 1)}".strip(): pooled(
            _of(runs, claim.first, claim.agreement), _of(runs, other, claim.agreement), group
        )
        for other in claim.others
        for code, group in groups.items()
    }


def _of(runs: Runs, system: str, agreement: bool) -> dict[str, Sequence[Judgement]]:
    return {seed: _agreeing(by_system[system]) if agreement else by_system[system] for seed, by_system in runs.items()}


def _agreeing(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The same judgements, right where the number read is that of the English answer: agreement is then tested as accuracy is."""
    english = {one.id: one.readings[MAIN].value for one in judgements if one.language == "en"}
    agreeing = []
    for one in judgements:
        read = one.readings[MAIN]
        right = read.value is not None and read.value == english[one.id]
        agreeing.append(replace(one, readings={MAIN: replace(read, right=right)}))
    return agreeing


def _p(found: Estimate, bound: float) -> float:
    """Two-sided p of the difference against the bound."""
    return t_test(found.difference - bound, found.standard_error, found.n) if bound else found.p


def _verdict(claim: Claim, tests: Sequence[Test]) -> Verdict:
    above = [found.difference > claim.bound for _, found, _ in tests]
    decided = [p < LEVEL for *_, p in tests]
    if all(decided) and all(above) and all(min(found.by_seed.values()) > claim.bound for _, found, _ in tests):
        return "holds"
    below = any(sure and not over for sure, over in zip(decided, above, strict=True))
    return "does not hold" if below else "not decided"


def _evidence(test: Test) -> str:
    name, found, p = test
    seeds = ", ".join(f"{value:+.1f}" for value in found.by_seed.values())
    low, high = bounds(found)
    front = f"{name}: " if name else ""
    return f"{front}{found.difference:+.1f} ({low:.1f} to {high:.1f}, {p_text(p)}; by seed {seeds})"
