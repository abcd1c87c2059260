"""The recipes of the study: each a plain function from a study to its last training stage.

A variant calls another recipe and changes one value, so it reads as a difference. A recipe of one's own is such a function
in one's own module: `qalign run my_module:my_system`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from ..pipeline import Stage
from .artifacts import Model, Records
from .augmented import augmented, evolved
from .study import Study

Recipe = Callable[[Study], Stage[Model]]
QUESTION, MULTILINGUAL, RESPONSE = "question-alignment", "multilingual-alignment", "response-alignment"
REINFORCEMENT = "reinforcement"


def sft(study: Study) -> Stage[Model]:
    """The base fine-tuned on GSM8K, in English (or on the English corpus that the study was given)."""
    return study.train(RESPONSE, study.base, study.english_answers(study.english or study.scale.supervised))


def rft(study: Study, samplers: Sequence[Recipe] = (sft,)) -> Stage[Model]:
    """The base fine-tuned on GSM8K and on right answers to it that fine-tuned models sampled: rejection sampling. The answers
    of several samplers are pooled before the filter."""
    problems = study.corpus("english", study.english or study.scale.supervised)
    answers = [study.sampled(sampler(study), problems) for sampler in samplers]
    sampled = study.kept(answers, problems)
    examples = study.mixture("rft", "response", [problems, sampled], per_language=study.data_config.english_examples)
    return study.train(RESPONSE, study.base, examples)


def metamath(study: Study) -> Stage[Model]:
    """The base fine-tuned on GSM8K as MetaMath augments it: new answers, rephrased questions, and two kinds of backward ones."""
    problems = study.corpus("english", study.english or study.scale.supervised)
    corpora = augmented(study, problems, sampled=lambda: study.sampled(sft(study), problems))
    examples = study.mixture("metamath", "response", corpora, per_language=study.data_config.english_examples)
    return study.train(RESPONSE, study.base, examples)


def mammoth(study: Study) -> Stage[Model]:
    """The base fine-tuned on worked answers and programs in English (MathInstruct). It is asked for a program first."""
    return study.train(RESPONSE, study.base, study.english_answers(study.english or study.scale.programs))


def wizardmath(study: Study) -> Stage[Model]:
    """SFT, then reinforcement learning on the same problems: a stand-in for WizardMath, whose parts were not published. Where
    there is a teacher, it evolves further problems, and where the scale has evolved ones, those are taken."""
    first = study.corpus("english", study.english or study.scale.supervised)
    further: list[Stage[Records]] = []
    if study.teacher is not None or study.teacher_endpoint is not None:
        further += evolved(study, first)
    elif study.english is None and study.scale.evolved is not None:
        further.append(study.corpus("english", study.scale.evolved))
    if not further:
        return study.reinforced(REINFORCEMENT, sft(study), [first])
    problems = [first, *further]
    examples = study.mixture("evolved", "response", problems, per_language=study.data_config.english_examples)
    return study.reinforced(REINFORCEMENT, study.train(RESPONSE, study.base, examples), problems)


def monoreason(study: Study) -> Stage[Model]:
    """The base fine-tuned on English instruction data (MetaMathQA): what QAlign adds stage 1 to."""
    return study.train(RESPONSE, study.base, study.english_answers())


def multireason(study: Study) -> Stage[Model]:
    """The base fine-tuned on questions and answers in all languages (GSM8KInstruct): translate-training."""
    return study.train(MULTILINGUAL, study.base, study.multilingual_answers())


def mathoctopus(
    study: Study, question: Literal["own", "english"] = "own", samplers: Sequence[Recipe] = ()
) -> Stage[Model]:
    """The base fine-tuned on worked answers in all languages, under prompts that name the language (arXiv 2310.20246). The
    questions are in the same language (parallel), or in English (cross). What `samplers` answered right is added (xRFT)."""
    crossed = study.scale.crossed if question == "english" and study.multilingual is None else None
    problems = study.corpus("multilingual", crossed)
    if question == "english" and crossed is None:
        problems = study.in_english(problems)
    drawn = [study.sampled(sampler(study), problems, study.scale.samples_per_language) for sampler in samplers]
    corpora = [problems, *([study.kept(drawn, problems)] if drawn else [])]
    size, name = study.data_config.examples_per_language, "cross" if question == "english" else "parallel"
    examples = study.mixture(f"mathoctopus-{name}", "response", corpora, per_language=size, template="mathoctopus")
    return study.train(MULTILINGUAL, study.base, examples)


def mathoctopus_xrft(study: Study, question: Literal["own", "english"] = "own") -> Stage[Model]:
    """MathOctopus, with its own right answers in each language: rejection sampling."""
    return mathoctopus(study, question, samplers=[partial(mathoctopus, question=question)])


def qalign_mono(study: Study, variant: str = "x-en-questions") -> Stage[Model]:
    """Question alignment, or another variant of it, then English instruction data: monolingual supervision."""
    aligned = study.train(QUESTION, study.base, study.translation(variant))
    return study.train(RESPONSE, aligned, study.english_answers())


def qalign_mixed(study: Study) -> Stage[Model]:
    """Question alignment, then instruction data in all languages, then English: mixed supervision."""
    aligned = study.train(QUESTION, study.base, study.translation())
    multilingual = study.train(MULTILINGUAL, aligned, study.multilingual_answers())
    return study.train(RESPONSE, multilingual, study.english_answers())
