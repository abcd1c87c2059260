"""The corpora of the study, one row each, and the sources of MathInstruct. To add a corpus, add a row.

Counts are those of the publications: GSM8K, arXiv 2110.14168. GSM8KInstruct and mSVAMP, arXiv 2310.20246. MetaMathQA,
arXiv 2309.12284. MathInstruct, arXiv 2309.05653. MGSM, arXiv 2210.03057. Flores, arXiv 2207.04672. NTREX-128, SUMEval 2022.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..errors import SettingError
from ..languages import STUDY, Language
from ..records import PairKind
from ..world.sets import SIZES

Role = Literal["questions", "answers", "multilingual", "english", "general", "test", "text"]
"""The use of a corpus:

questions, answers, general     pairs: a question, worked answer or sentence in language X, and the same in English
multilingual, english           problems: question and worked answer, in many languages, or in English
test                            problems: a question and its final number, for evaluation
text                            documents: plain text in many languages, to train a base on
"""

PAIR_KINDS: Mapping[Role, PairKind] = {"questions": "question", "answers": "answer", "general": "sentence"}
"""The roles with pairs, and the kind of pair. Role `text` has documents, all others have problems."""

Layout = Literal["table", "framed", "crossed", "tsv"]
"""A hub dataset is a table with named columns, or framed: prompts that name their language, grouped by problem. Crossed are
such prompts with English questions, in any order. Or it has files `question TAB answer` without a header."""


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub dataset of a corpus, and its layout."""

    name: str
    layout: Layout
    split: str = "train"
    config: str | None = None
    """A pattern over `{code}`, the language, and `{flores}`, its name in Flores."""
    file: str | None = None
    """A pattern like `config`, for the file of a language."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our column names, and those of the dataset."""
    beside: str | None = None
    """The language of a second table, joined by id, that gives the English side of pairs."""
    flores: Mapping[str, str] = field(default_factory=dict)
    """Names in Flores that differ from those of the language table, by code."""

    def pattern(self, pattern: str | None, language: Language) -> str | None:
        """`config` or `file`, for one language. Raises SettingError if it needs an ISO 639-3 code that is not there."""
        if pattern is None:
            return None
        if "{flores}" in pattern and language.code not in self.flores and not language.iso639_3:
            reason = f"has no iso639_3, by which {self.name} knows it: add it to its row"
            raise SettingError(f"the language '{language.code}' {reason}")
        return pattern.format(code=language.code, flores=self.flores.get(language.code, language.flores))


@dataclass(frozen=True, slots=True)
class Corpus:
    """One corpus."""

    name: str
    roles: tuple[Role, ...]
    languages: tuple[str, ...]
    published: Mapping[str, int]
    """The published number of rows by language."""
    source: str
    """The author and the licence."""
    hub: Hub | None = None
    local: Mapping[Role, str] = field(default_factory=dict)
    """The path of its files below a data folder, by role."""
    world: str | None = None
    """The set of the embedded world that generates it."""


_X = tuple(code for code in STUDY if code != "en")


def _world(name: str, roles: tuple[Role, ...], languages: tuple[str, ...]) -> Corpus:
    """A set of the embedded world, named after the corpus that it mirrors."""
    published = {} if name == "text" else dict.fromkeys(languages, SIZES[name])
    return Corpus(f"world-{name}", roles, languages, published, "qalign, Apache 2.0", world=name)


# As published by language; they add up to 73,660, the published total is 73,559 (zh 7,365 would give it).
_INSTRUCT = {
    "en": 7473, "sw": 7472, "zh": 7466, "bn": 6539, "de": 7466, "es": 7470, "fr": 7469, "ja": 7471, "ru": 7361, "th": 7473,
}  # fmt: skip

# fmt: off
_ROWS = (
    Corpus(
        "gsm8k", ("english",), ("en",), {"en": 7473}, "OpenAI, MIT",
        Hub("openai/gsm8k", "table", config="main", columns={"question": "question", "answer": "answer"}),
        {"english": "train/gsm8k/train.jsonl.gz"},
    ),
    Corpus(
        "gsm8kinstruct", ("questions", "answers", "multilingual", "english"), STUDY, _INSTRUCT, "MathOctopus, MIT",
        Hub("Mathoctopus/GSM8KInstruct_Parallel", "framed", columns={"prompt": "prompt", "answer": "chosen"}),
        {"questions": "train/gsm8kinstruct/questions", "english": "train/gsm8kinstruct/en.jsonl.gz"},
    ),
    Corpus(  # of as many rows in all, published without counts by language: the same translations of the answers
        "gsm8kinstruct-cross", ("multilingual",), STUDY, _INSTRUCT, "MathOctopus, MIT",
        Hub("Mathoctopus/MGSM8KInstruct_Cross", "crossed", columns={"prompt": "prompt", "answer": "chosen"}),
    ),
    Corpus(
        "metamathqa", ("english",), ("en",), {"en": 395_000}, "MetaMath, MIT",
        Hub("meta-math/MetaMathQA", "table", columns={"question": "query", "answer": "response"}),
    ),
    Corpus(
        "mathinstruct", ("english",), ("en",), {"en": 262_039}, "MAmmoTH, MIT; some of its sources are not for commercial use",
        Hub("TIGER-Lab/MathInstruct", "table",
            columns={"question": "instruction", "answer": "output", "source": "source"}),
    ),
    Corpus(
        "flores", ("general",), (*_X, "te"), dict.fromkeys((*_X, "te"), 997), "Flores+ dev, OLDI, CC BY-SA 4.0",
        Hub("openlanguagedata/flores_plus", "table", "dev", "{flores}", columns={"id": "id", "text": "text"},
            beside="en", flores={"zh": "cmn_Hans"}),
    ),
    Corpus(
        "ntrex", ("general",), (*_X, "te"), dict.fromkeys((*_X, "te"), 1997), "NTREX-128, Microsoft, CC BY-SA 4.0",
        local={"general": "train/general/ntrex128"},
    ),
    Corpus(
        "mgsm", ("test",), (*STUDY, "te"), dict.fromkeys((*STUDY, "te"), 250), "Google, CC BY-SA 4.0",
        Hub("juletxara/mgsm", "tsv", file="mgsm_{code}.tsv"),
        {"test": "benchmarks/mgsm"},
    ),
    Corpus(
        "msvamp", ("test",), STUDY, dict.fromkeys(STUDY, 1000), "MathOctopus, Apache 2.0",
        Hub("Mathoctopus/MSVAMP", "table", "test", "{code}", columns={"question": "m_query", "answer": "response"}),
        {"test": "benchmarks/msvamp"},
    ),
    # The embedded world: each mirrors the corpus whose name it has.
    _world("gsm8k", ("english",), ("en",)),
    _world("gsm8kinstruct", ("questions", "answers", "multilingual", "english"), STUDY),
    _world("gsm8kinstruct-cross", ("multilingual",), STUDY),
    _world("metamathqa", ("english",), ("en",)),
    _world("mathinstruct", ("english",), ("en",)),
    _world("evolved", ("english",), ("en",)),
    _world("flores", ("general",), _X),
    _world("mgsm", ("test",), STUDY),
    _world("msvamp", ("test",), STUDY),
    _world("development", ("test",), STUDY),
    _world("development-out", ("test",), STUDY),
    _world("text", ("text",), STUDY),
)
# fmt: on

CORPORA: Mapping[str, Corpus] = {row.name: row for row in _ROWS}


RECALLED = "recalled"


@dataclass(frozen=True, slots=True)
class Origin:
    """One source of MathInstruct."""

    rows: str
    """The published number of rows, as it is known."""
    licence: str
    known: str
    """How rows and licence are known."""


SOURCES: Mapping[str, Origin] = {
    "data/CoT/aqua_rat.json": Origin("~89,400", "Apache 2.0", "34.1% of all rows; licence recalled"),
    "data/CoT/math50k_camel.json": Origin("49,484", "CC BY-NC 4.0: not for commercial use", "read"),
    "data/CoT/gsm_rft.json": Origin("~28,300", "none is named", "10.8% of all rows; licence read"),
    "data/CoT/gsm_train.json": Origin("~7,000", "MIT", RECALLED),
    "data/CoT/MATH_train.json": Origin("~21,900 with its programs", "MIT", "licence recalled"),
    "data/CoT/TheoremQA.json": Origin("~600", "MIT", RECALLED),
    "data/CoT/college_math.json": Origin("1,840", "MIT", "licence recalled"),
    "data/CoT/number_comparison.json": Origin("-", "MIT", RECALLED),
    "data/PoT/mathqa.json": Origin("~24,400", "Apache 2.0", "9.3% of all rows; licence recalled"),
    "data/PoT/gsm_gpt4.json": Origin("~14,000", "MIT; written by GPT-4", RECALLED),
    "data/PoT/numglue.json": Origin("~13,000", "Apache 2.0", RECALLED),
    "data/PoT/aqua_rat_filtered.json": Origin("~9,700", "Apache 2.0", RECALLED),
    "data/PoT/MATH_train.json": Origin("with its worked answers", "MIT", "licence recalled"),
    "data/PoT/TheoremQA.json": Origin("~700", "MIT", RECALLED),
}
"""The sources of MathInstruct, in the order of the publication: worked answers (CoT), then programs (PoT). The whole has the
licence MIT, some parts have others. What was recalled and not read is marked as such."""


def by_source(sources: Sequence[str], corpus: str) -> list[list[str]]:
    """A row for each source of a corpus that names them: its rows, those published, its licence, and how these are known."""
    counts = Counter(source.removeprefix(f"{corpus}: ") for source in sources if source != corpus)
    rows = []
    for name, count in counts.most_common():
        origin = SOURCES.get(name, Origin("-", "-", "-"))
        rows.append([name, f"{count:,}", origin.rows, origin.licence, origin.known])
    return rows
