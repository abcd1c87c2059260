"""The base of the tests: a LLaMA of two layers with random weights and a tokenizer of 400 tokens."""

from __future__ import annotations

import random
from pathlib import Path

from qalign.models.tiny import TinyConfig, make_tiny

SEED = 7

QUESTIONS = {
    "en": "Ann has {a} apples and buys {b} more. How many apples does Ann have now?",
    "de": "Anna hat {a} Äpfel und kauft {b} dazu. Wie viele Äpfel hat Anna jetzt?",
    "es": "Ana tiene {a} manzanas y compra {b} más. ¿Cuántas manzanas tiene Ana ahora?",
    "ru": "У Анны {a} яблок, и она покупает ещё {b}. Сколько яблок у Анны теперь?",
    "sw": "Ana ana matufaha {a} na ananunua {b} zaidi. Je, Ana ana matufaha mangapi sasa?",
    "zh": "安有{a}个苹果，又买了{b}个。安现在有多少个苹果？",
    "ja": "アンはりんごを{a}個持っていて、{b}個買いました。今いくつありますか。",
    "th": "แอนมีแอปเปิล {a} ลูก และซื้อเพิ่มอีก {b} ลูก ตอนนี้แอนมีกี่ลูก",
    "bn": "অ্যানের {a}টি আপেল আছে এবং সে আরও {b}টি কেনে। এখন কয়টি আছে?",
}
STEP = "Then {a} + {b} = {c}. "


def texts() -> list[str]:
    """A few dozen texts in several scripts, the prompt's frame among them: what the tokenizer is trained on."""
    draw = random.Random(SEED)
    made = [
        question.format(a=draw.randint(2, 99), b=draw.randint(2, 99))
        for question in QUESTIONS.values()
        for _ in range(4)
    ]
    frame = (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nTranslate the following sentences from German to English.\n\n### Response:"
    )
    return [*made, *[STEP.format(a=2, b=3, c=5)] * 4, *[frame] * 8]


def write_base(folder: Path) -> Path:
    """Writes the base into an existing folder, and returns it."""
    shape = TinyConfig(
        vocabulary=400, hidden_size=32, intermediate_size=64, layers=2, heads=2, max_positions=1024, seed=SEED
    )
    make_tiny(texts(), shape, folder)
    return folder
