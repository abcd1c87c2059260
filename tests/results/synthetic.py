"""A comparison that nobody ran: nine systems, two benchmarks, ten languages, drawn from a seed and true to the form."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from typed import plain_results

from qalign.languages import STUDY
from qalign.results.titles import Titles

TITLES = Titles(
    {
        "sft": "SFT",
        "monoreason": "MonoReason (MetaMath)",
        "multireason": "MultiReason (MathOctopus)",
        "qalign-mono": "QAlign (monolingual)",
        "qalign-mixed": "QAlign (mixed)",
        "qalign-en-x-questions": "QAlign, En->X questions",
        "qalign-x-en-answers": "QAlign, X->En answers",
        "qalign-en-x-answers": "QAlign, En->X answers",
        "qalign-general": "QAlign, X->En general-domain",
    },
    {"mgsm": "mGSM", "msvamp": "mSVAMP"},
)
SYSTEMS = list(TITLES.systems)
# How good a system is in English, and what a language of rank 0 (the hardest) to 9 loses.
SKILL = dict(
    zip(
        SYSTEMS, [(42, 31), (61, 44), (50, 14), (63, 22), (64, 15), (58, 31), (57, 30), (55, 34), (59, 38)], strict=True
    )
)
HARD = {
    "bn": 1.0,
    "th": 0.95,
    "sw": 0.9,
    "ja": 0.6,
    "zh": 0.5,
    "de": 0.25,
    "fr": 0.25,
    "ru": 0.35,
    "es": 0.2,
    "en": 0.0,
}
PUBLISHED = {"sft": (22.6, 29.7), "monoreason": (38.4, 43.9), "multireason": (40.0, 45.8), "qalign-mono": (49.6, 57.1)}

QUESTIONS = {
    "bn": "লেনার কাছে {a}টি আপেল আছে। সে আরও {b}টি থলে কেনে, প্রতিটিতে {c}টি আপেল। এখন তার কাছে মোট কয়টি আপেল আছে?",
    "th": "ลีนามีแอปเปิล {a} ผล เธอซื้อเพิ่มอีก {b} ถุง ถุงละ {c} ผล ตอนนี้เธอมีแอปเปิลทั้งหมดกี่ผล",
    "sw": "Lena ana matufaha {a}. Ananunua mifuko {b} zaidi, kila mmoja una matufaha {c}. Sasa ana matufaha mangapi?",
    "ja": "レナはりんごを{a}個持っています。さらに{c}個入りの袋を{b}袋買いました。今、りんごは全部で何個ありますか。",
    "zh": "莉娜有{a}个苹果。她又买了{b}袋，每袋有{c}个苹果。她现在一共有多少个苹果？",
    "de": "Lena hat {a} Äpfel. Sie kauft noch {b} Beutel mit je {c} Äpfeln. Wie viele Äpfel hat sie jetzt?",
    "fr": "Léna a {a} pommes. Elle achète {b} sacs de plus, contenant chacun {c} pommes. Combien de pommes a-t-elle maintenant ?",
    "ru": "У Лены {a} яблок. Она покупает ещё {b} пакета, в каждом по {c} яблок. Сколько яблок у неё теперь?",
    "es": "Lena tiene {a} manzanas. Compra {b} bolsas más con {c} manzanas cada una. ¿Cuántas manzanas tiene ahora?",
    "en": "Lena has {a} apples. She buys {b} more bags with {c} apples each. How many apples does she have now?",
}
ANSWERS = {
    "bn": "থলেগুলিতে {b} * {c} = {bc}টি আপেল আছে। মোট {a} + {bc} = {abc}টি।\nউত্তর হল {abc}",
    "th": "ในถุงมีแอปเปิล {b} * {c} = {bc} ผล รวมเป็น {a} + {bc} = {abc} ผล\nคำตอบคือ {abc}",
    "sw": "Mifuko ina matufaha {b} * {c} = {bc}. Kwa jumla ana {a} + {bc} = {abc}.\nJibu ni {abc}",
    "ja": "袋のりんごは{b} * {c} = {bc}個です。全部で{a} + {bc} = {abc}個です。\n答えは{abc}",
    "zh": "袋子里有{b} * {c} = {bc}个苹果。一共有{a} + {bc} = {abc}个。\n答案是{abc}",
    "de": "In den Beuteln sind {b} * {c} = {bc} Äpfel. Zusammen sind es {a} + {bc} = {abc}.\nDie Antwort ist {abc}",
    "fr": "Les sacs contiennent {b} * {c} = {bc} pommes. En tout, {a} + {bc} = {abc}.\nLa réponse est {abc}",
    "ru": "В пакетах {b} * {c} = {bc} яблок. Всего {a} + {bc} = {abc}.\nОтвет: {abc}",
    "es": "En las bolsas hay {b} * {c} = {bc} manzanas. En total son {a} + {bc} = {abc}.\nLa respuesta es {abc}",
    "en": "The bags hold {b} * {c} = {bc} apples. In all she has {a} + {bc} = {abc}.\nThe answer is {abc}",
}
OUTCOMES = ("correct", "wrong", "unanswered", "cut_off")


def answers(problems: int = 20, seed: int = 1) -> Iterator[dict[str, Any]]:
    """The answers of all systems to so many problems a benchmark."""
    draw = random.Random(seed)
    for benchmark in ("mgsm", "msvamp"):
        for number in range(1, problems + 1):
            a, b, c = draw.randint(2, 60), draw.randint(2, 9), draw.randint(2, 12)
            luck = draw.gauss(0, 18)
            for code in STUDY:
                row = {name: _answer(draw, name, code, (a, b, c), luck) for name in SYSTEMS}
                question = QUESTIONS[code].format(a=a, b=b, c=c)
                yield {
                    "benchmark": benchmark, "id": str(number), "language": code, "gold": str(a + b * c),
                    "question": question, "answers": row,
                }  # fmt: skip


def _answer(draw: random.Random, name: str, code: str, numbers: tuple[int, int, int], luck: float) -> dict[str, Any]:
    a, b, c = numbers
    best, loss = SKILL[name]
    right = draw.uniform(0, 100) < best - loss * HARD[code] + luck
    outcome = "correct" if right else draw.choices(OUTCOMES[1:], [8, 1, 1])[0]
    result = a + b * c + (0 if right else draw.choice([-10, -2, 1, 3, a]))
    spoken = "en" if name == "qalign-mono" and draw.random() < 0.6 else code
    text = ANSWERS[spoken].format(a=a, b=b, c=c, bc=b * c, abc=result)
    if outcome == "unanswered":
        return {"text": text.split("\n")[0].split(str(b))[0].strip(), "value": None, "start": 0, "end": 0,
                "outcome": outcome, "right": {"strict": False, "paper": False}, "answered_in": spoken}  # fmt: skip
    if outcome == "cut_off":
        return {"text": " ".join([text.split("\n")[0]] * 4)[:-3], "value": None, "start": 0, "end": 0,
                "outcome": outcome, "right": {"strict": False, "paper": draw.random() < 0.1}, "answered_in": spoken}  # fmt: skip
    start = text.rindex(str(result))
    return {"text": text, "value": str(result), "start": start, "end": start + len(str(result)),
            "outcome": outcome, "answered_in": spoken,
            "right": {"strict": right, "paper": right if draw.random() < 0.97 else not right}}  # fmt: skip


def curves(seed: int = 1) -> dict[str, list[dict[str, Any]]]:
    """Loss curves; the two systems of QAlign share their first stage."""
    draw = random.Random(seed)

    def stage(name: str, folder: str, steps: int, start: float, end: float) -> dict[str, Any]:
        points = [
            [step, end + (start - end) * math.exp(-5 * step / steps) + draw.gauss(0, 0.06 + 0.05 * end)]
            for step in range(1, steps + 1)
        ]
        return {"stage": name, "folder": folder, "points": points}

    shared = stage("question-alignment", "train-question-alignment-11", 600, 3.1, 0.4)
    made: dict[str, list[dict[str, Any]]] = {}
    for number, name in enumerate(SYSTEMS):
        first = shared if name in ("qalign-mono", "qalign-mixed") else stage(
            "question-alignment", f"train-question-alignment-{name}", 600, 3.2, 0.5 + 0.1 * number)  # fmt: skip
        last = stage("response-alignment", f"train-response-alignment-{name}", 900, 2.2, 0.30 + 0.02 * number)
        made[name] = [*([first] if name.startswith("qalign") else []), last]
    return made


def found(given: list[dict[str, Any]] | None = None, seed: int = 1) -> dict[str, Any]:
    """`results.json` of those answers, with all that may be added to it."""
    given = list(answers(seed=seed)) if given is None else given
    scores: dict[str, Any] = {name: {} for name in SYSTEMS}
    for name in SYSTEMS:
        for benchmark in ("mgsm", "msvamp"):
            here = [(e["language"], e["answers"][name]) for e in given if e["benchmark"] == benchmark]
            rows = [(code, {"language": code, **answer}) for code, answer in here]
            by = {code: [answer for language, answer in rows if language == code] for code in STUDY}
            everything = [answer for _, answer in rows]
            scores[name][benchmark] = {
                **{code: _score(answers) for code, answers in by.items()},
                "average": _score(everything),
                "non_english": _score([answer for code, answer in rows if code != "en"]),
            }
    published = {name: {"mgsm": dict(zip(("7B", "13B"), figures, strict=True))} for name, figures in PUBLISHED.items()}
    run = {
        "base": "HuggingFaceTB/SmolLM2-360M", "scale": "sample", "seed": seed, "languages": list(STUDY),
        "settings": ["training.epochs=2", "data.problems_per_language=40"], "qalign": "0.3.0",
    }  # fmt: skip
    made = plain_results(run, scores, {name: _chain(name) for name in SYSTEMS}, published, [_corpus()])
    return {**made, "consistency": _consistency(given), "comparisons": _comparisons(scores), "claims": CLAIMS,
            "findings": FINDINGS, "rejections": REJECTIONS}  # fmt: skip


FINDINGS = [
    "Question alignment raises the average over ten languages from 38.6 to 49.2% on mGSM (difference 10.6 points, "
    "95% interval 6.1 to 15.0), and most where the base is weakest: Bengali, Thai, Swahili.",
    "The gap between English and the other languages shrinks from 25 to 13 points; English itself stays where it was.",
]
REJECTIONS = [
    {"folder": "keep-published-1", "systems": ["sft"], "languages": [
        {"language": "en", "answers": 90, "kept": 80, "left_out": {"another number": 10}},
        {"language": "bn", "answers": 40, "kept": 25, "left_out": {"another number": 9, "like another": 6}},
    ]},
    {"folder": "keep-published-2", "systems": ["sft"], "kind": "FOBAR", "languages": [
        {"language": "en", "answers": 7, "kept": 7, "left_out": {}},
    ]},
]  # fmt: skip
CLAIMS = [
    {"benchmark": "mgsm", "tests": [],
     "claim": "Question alignment beats fine-tuning on English answers alone.", "verdict": "holds",
     "evidence": "QAlign (monolingual) against MonoReason: +10.6 points on mGSM (p = 0.0004), +8.1 on mSVAMP (p = 0.002)."},
    {"benchmark": "mgsm", "tests": [],
     "claim": "The order X->En matters: En->X questions gain less.", "verdict": "not decided",
     "evidence": "+1.9 points on mGSM, interval -1.2 to 5.0."},
    {"benchmark": "msvamp", "tests": [],
     "claim": "Alignment costs nothing in English.", "verdict": "does not hold",
     "evidence": "-4.0 points on mSVAMP, interval -7.0 to -1.0."},
    {"benchmark": "mgsm", "tests": [], "ours": True,
     "claim": "RFT is above SFT in English.", "verdict": "holds", "evidence": "+5.0 points on mGSM, interval 2.0 to 8.0."},
]  # fmt: skip


def _score(rows: list[dict[str, Any]]) -> dict[str, Any]:
    counts = {name: sum(row["outcome"] == name for row in rows) for name in OUTCOMES}
    share, paper = counts["correct"] / len(rows), sum(row["right"]["paper"] for row in rows) / len(rows)
    error = math.sqrt(max(share * (1 - share), 0.001) / min(len(rows), 60))
    spoken = sum(row["answered_in"] == row["language"] for row in rows)
    return {"n": len(rows), "accuracy": {"strict": 100 * share, "paper": 100 * paper}, **counts,
            "standard_error": {"strict": 100 * error, "paper": 100 * error},
            "in_language": 100 * spoken / len(rows), "in_another": len(rows) - spoken, "no_language": 0}  # fmt: skip


def _consistency(given: list[dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in SYSTEMS:
        made[name] = {}
        for benchmark in ("mgsm", "msvamp"):
            said: dict[str, list[dict[str, Any]]] = {code: [] for code in STUDY}
            for entry in given:
                if entry["benchmark"] == benchmark:
                    said[entry["language"]].append(entry["answers"][name])
            n = len(said["en"])

            def share(a: str, b: str, right: bool, said: Any = said, n: int = n) -> float:
                pairs = zip(said[a], said[b], strict=True)
                return 100 * sum(
                    x["value"] == y["value"] is not None and (not right or x["outcome"] == y["outcome"] == "correct")
                    for x, y in pairs
                ) / n  # fmt: skip

            matrix = [[share(a, b, False) if a != b else None for b in STUDY] for a in STUDY]
            matrix_correct = [[share(a, b, True) for b in STUDY] for a in STUDY]
            others = {
                code: {"n": n, "agree": share(code, "en", False), "correct": share(code, "en", True),
                       "agree_given_english_right": 50.0, "standard_error": 4.0}
                for code in STUDY if code != "en"
            }  # fmt: skip
            mean = sum(row["agree"] for row in others.values()) / len(others)
            made[name][benchmark] = {
                "mean_with_english": {"n": n, "agree": mean, "correct": mean / 2, "agree_given_english_right": 61.0,
                                      "standard_error": 2.5},
                "with_english": others,
                "languages": list(STUDY), "matrix": matrix, "matrix_correct": matrix_correct,
            }  # fmt: skip
    return made


def _comparisons(scores: dict[str, Any]) -> list[dict[str, Any]]:
    made = []
    for benchmark in ("mgsm", "msvamp"):
        for group in ("average", "non_english", "bn", "en"):
            for a, b in combinations(SYSTEMS[:5], 2):
                one, two = scores[a][benchmark][group], scores[b][benchmark][group]
                difference = two["accuracy"]["strict"] - one["accuracy"]["strict"]
                error = 0.6 * math.hypot(one["standard_error"]["strict"], two["standard_error"]["strict"])
                p = math.erfc(abs(difference) / error / math.sqrt(2))
                row = {
                    "benchmark": benchmark, "group": group, "a": b, "b": a, "difference": difference,
                    "standard_error": error, "low": difference - 1.96 * error, "high": difference + 1.96 * error,
                    "p": p, "p_adjusted": min(1.0, 10 * p), "n": one["n"],
                }  # fmt: skip
                if group in ("bn", "en"):
                    row |= {"only_a": 7, "only_b": 3}
                made.append(row)
    return made


def _chain(name: str) -> list[dict[str, Any]]:
    mixture = [
        {"source": "gsm8kinstruct", "language": code, "examples": 350, "tokens": 41_000, "supervised_tokens": 12_000}
        for code in STUDY if code != "en"
    ]  # fmt: skip
    first = {
        "stage": "question-alignment", "folder": "train-question-alignment-11", "examples": 3150, "tokens": 738_000,
        "supervised_tokens": 216_000, "steps": 600, "first_loss": 3.05, "last_loss": 0.42, "too_long": {}, "mixture": mixture,
    }  # fmt: skip
    if name not in ("qalign-mono", "qalign-mixed"):
        first = {**first, "folder": f"train-question-alignment-{name}"}
    if name == "monoreason":
        return [{"stage": "response-alignment", "folder": "train-x", "adopted_from": "meta-math/MetaMath-7B-V1.0"}]
    last = {
        "stage": "response-alignment", "folder": f"train-response-alignment-{name}", "examples": 2000, "tokens": 620_000,
        "supervised_tokens": 410_000, "steps": 900, "first_loss": 2.2, "last_loss": 0.31,
        "too_long": {"cut": {"en": 3}, "drop": {}}, "mixture": mixture[:1],
    }  # fmt: skip
    return [*([first] if name.startswith("qalign") else []), last]


def _corpus() -> dict[str, Any]:
    return {
        "folder": "corpus-gsm8kinstruct-1", "corpus": "gsm8kinstruct", "counts": dict.fromkeys(STUDY, 7473),
        "published": dict.fromkeys(STUDY, 7473), "kept": dict.fromkeys(STUDY, 350), "notes": ["A sample by the seed"],
        "dropped": [{"where": "th.json line 3", "reason": "no gold answer"}],
    }  # fmt: skip
