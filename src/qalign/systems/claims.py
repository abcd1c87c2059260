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
from ..records import Judgement, Reading
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


@dataclass(frozen=True, slots=True)
class _Test:
    """One difference of a claim: where, and what was found."""

    name: str
    found: Estimate


def verdicts(runs_by_benchmark: Mapping[str, Runs], titles: Titles) -> list[TestedClaim]:
    """Each claim on each benchmark, with the verdict and the evidence; claims on systems that were not run are left out."""
    tested = [
        (claim, benchmark, _tests(claim, runs, titles))
        for claim in CLAIMS
        for benchmark, runs in runs_by_benchmark.items()
        if _testable(claim, runs)
    ]
    adjusted = iter(holm([_p(test, claim.bound) for claim, _, tests in tested for test in tests]))
    made = []
    for claim, benchmark, tests in tested:
        ps = [next(adjusted) for _ in tests]
        made.append(
            TestedClaim(
                claim=f"{claim.text} ({titles.benchmark(benchmark)})",
                benchmark=benchmark,
                verdict=_verdict(claim, tests, ps),
                evidence="; ".join(_evidence(test, p) for test, p in zip(tests, ps, strict=True)),
                tests=[
                    msgspec.convert(
                        {
                            "name": test.name,
                            **plain(test.found),
                            "p_adjusted": float(f"{p:.4g}"),
                            "bound": claim.bound,
                        },
                        ClaimTest,
                    )
                    for test, p in zip(tests, ps, strict=True)
                ],
            )
        )
    return made


def _testable(claim: Claim, runs: Runs) -> bool:
    """Whether the systems of a claim were run, and measured in the languages that it speaks of."""
    systems = next(iter(runs.values()))
    if not {claim.first, *claim.others} <= set(systems):
        return False
    there = {one.language for one in systems[claim.first]}
    of_english, of_others = claim.agreement or claim.languages == "en", claim.languages != "en"
    return ("en" in there or not of_english) and (there != {"en"} or not of_others)


def _tests(claim: Claim, runs: Runs, titles: Titles) -> list[_Test]:
    there = list(dict.fromkeys(one.language for one in next(iter(runs.values()))[claim.first]))
    others = [code for code in there if code != "en"]
    groups = {"each": {code: [code] for code in others}, "en": {"": ["en"]}, NON_ENGLISH: {"": others}}[claim.languages]
    return [
        _Test(
            " ".join(part for part in (code, f"versus {titles.system(other)}" * (len(claim.others) > 1)) if part),
            pooled(_of(runs, claim.first, claim.agreement), _of(runs, other, claim.agreement), codes),
        )
        for other in claim.others
        for code, codes in groups.items()
    ]


def _of(runs: Runs, system: str, agreement: bool) -> dict[str, Sequence[Judgement]]:
    return {seed: _agreeing(by_system[system]) if agreement else by_system[system] for seed, by_system in runs.items()}


def _agreeing(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The same judgements, right where the number read is that of the English answer: agreement is then tested as accuracy is."""
    english = {one.id: one.readings[MAIN].value for one in judgements if one.language == "en"}

    def agrees(read: Reading, key: str) -> Reading:
        return replace(read, right=read.value is not None and read.value == english[key])

    return [replace(one, readings={MAIN: agrees(one.readings[MAIN], one.id)}) for one in judgements]


def _p(test: _Test, bound: float) -> float:
    """Two-sided p of the difference against the bound."""
    estimate = test.found
    return t_test(estimate.difference - bound, estimate.standard_error, estimate.n) if bound else estimate.p


def _verdict(claim: Claim, tests: Sequence[_Test], ps: Sequence[float]) -> Verdict:
    decided = [p < LEVEL for p in ps]
    above = [test.found.difference > claim.bound for test in tests]
    every_seed = [min(test.found.by_seed.values()) > claim.bound for test in tests]
    if all(decided) and all(above) and all(every_seed):
        return "holds"
    if any(sure and not over for sure, over in zip(decided, above, strict=True)):
        return "does not hold"
    return "not decided"


def _evidence(test: _Test, p: float) -> str:
    one = test.found
    seeds = ", ".join(f"{value:+.1f}" for value in test.found.by_seed.values())
    name = f"{test.name}: " if test.name else ""
    low, high = bounds(one)
    return f"{name}{one.difference:+.1f} ({low:.1f} to {high:.1f}, {p_text(p)}; by seed {seeds})"
