"""Published checkpoints: where each is, and how its authors ask it, one row each.

Facts are from the cards and code of the repositories that the rows name; their hub listings were read in November 2026.
`RECALLED` says what was not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..alignment.templates import STUDY, TemplateName
from ..generation import DecodingConfig

RECALLED: Mapping[str, str] = {
    "licence": "Where the licence is `?`, no card was read. The licence of the base model holds as well.",
    "weights": "MuggleMath and xpot are taken to be pickles, as the others of their time.",
    "tokens": "The added tokens of checkpoints on Llemma, CodeLlama and LLaMA 1, of MuggleMath and of xpot were not seen.",
    "MuggleMath": "How its answers announce their number, and its limit of tokens, were not read.",
    "python-english": "Which of xpot's prompts belongs to which of its checkpoints follows from their names.",
    "revision": "No revision is pinned, for none was read: the newest is taken, and its commit is recorded.",
}
"""What was recalled or left open, by what it is about. Correct it here and in the rows."""


PROGRAM, SOLVER = "program", "solver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A published checkpoint."""

    name: str
    """What it is called here, such as `metamath-7b`."""
    hub: str
    base: str
    template: TemplateName
    """The prompt of its authors, by name."""
    marker: str
    """How an answer announces its number."""
    source: str
    """The repository that states prompt and decoding."""
    rule: str = "strict"
    """The answer rule. `program`: a program is asked for first, and run. `solver`: programs of another form, which nothing
    here runs."""
    stop: tuple[str, ...] = ()
    """An answer ends before the first of these texts."""
    max_new_tokens: int | None = None
    """The most tokens of an answer. None: the limit of the benchmark."""
    added: tuple[str, ...] = ("[PAD]",)
    """Tokens behind those of the base."""
    licence: str = "?"
    safetensors: bool = False
    """Whether the weights are safetensors. Others are pickles, which are converted."""
    revision: str | None = None

    @property
    def title(self) -> str:
        """Its name on the hub without the owner."""
        return self.hub.partition("/")[2]

    def native(self, decoding: DecodingConfig) -> DecodingConfig:
        """Decoding as its authors do it, within the limit that `decoding` has."""
        template = None if self.rule == PROGRAM else self.template  # then in words where a program gives no number
        return replace(decoding, template=template, stop=self.stop or None)


WORDS = ("Question", "USER", "ASSISTANT", "Instruction", "Response")
"""The published stop strings but those that begin with one of these. `Question` ends real answers too: it is as published."""
LLAMA_1, LLAMA_2, MISTRAL = "LLaMA", "Llama-2", "Mistral-7B"


def _rows() -> Iterator[Preset]:
    """All rows, by the system that they belong to."""
    for name, hub, base in (
        ("rft-7b", "gsm8k-rft-llama7b2-u13b", f"{LLAMA_2}-7B"),
        ("rft-13b", "gsm8k-rft-llama13b2-u13b", f"{LLAMA_2}-13B"),
        ("rft-llama1-7b", "gsm8k-rft-llama7b-u13b", f"{LLAMA_1}-7B"),
        ("rft-llama1-13b", "gsm8k-rft-llama13b-u13b", f"{LLAMA_1}-13B"),
        ("rft-llama1-7b-sample100", "gsm8k-rft-llama7b-sample100", f"{LLAMA_1}-7B"),
    ):  # the tokenizer begins a prompt with </s>, for bos, eos and unk are all this token
        yield Preset(
            name=name, hub=f"OFA-Sys/{hub}", base=base, template=STUDY, marker="#### X", max_new_tokens=256,
            source="OFA-Sys/gsm8k-ScRel",
        )  # fmt: skip
    for name, version, base, licence in (
        ("wizardmath-7b", "7B-V1.0", f"{LLAMA_2}-7B", "llama2"),
        ("wizardmath-13b", "13B-V1.0", f"{LLAMA_2}-13B", "llama2"),
        ("wizardmath-70b", "70B-V1.0", f"{LLAMA_2}-70B", "llama2"),
        ("wizardmath-7b-v1.1", "7B-V1.1", MISTRAL, "microsoft-research"),
    ):  # some write </s> as text
        yield Preset(
            name=name, hub=f"WizardLMTeam/WizardMath-{version}", base=base, template="step-by-step",
            marker="The answer is: X", stop=("Instruction", "Response", "</s>"), max_new_tokens=1024, licence=licence,
            source="nlpxucan/WizardLM",
        )  # fmt: skip
    for name, hub, base in (
        ("mammoth-7b", "MAmmoTH-7B", f"{LLAMA_2}-7B"),
        ("mammoth-13b", "MAmmoTH-13B", f"{LLAMA_2}-13B"),
        ("mammoth-70b", "MAmmoTH-70B", f"{LLAMA_2}-70B"),
        ("mammoth-coder-7b", "MAmmoTH-Coder-7B", "CodeLlama-7B"),
        ("mammoth-coder-13b", "MAmmoTH-Coder-13B", "CodeLlama-13B"),
        ("mammoth-coder-34b", "MAmmoTH-Coder-34B", "CodeLlama-34B"),
        ("mammoth-mistral-7b", "MAmmoTH-7B-Mistral", MISTRAL),
    ):  # under the study's prompt it answers in words: The answer is X
        yield Preset(
            name=name, hub=f"TIGER-Lab/{hub}", base=base, template="program", marker="what the program prints",
            rule=PROGRAM, stop=WORDS, max_new_tokens=1024, source="TIGER-AI-Lab/MAmmoTH",
        )  # fmt: skip
    for name, hub, base in (
        ("metamath-7b", "MetaMath-7B-V1.0", f"{LLAMA_2}-7B"),
        ("metamath-13b", "MetaMath-13B-V1.0", f"{LLAMA_2}-13B"),
        ("metamath-70b", "MetaMath-70B-V1.0", f"{LLAMA_2}-70B"),
        ("metamath-mistral-7b", "MetaMath-Mistral-7B", MISTRAL),
        ("metamath-llemma-7b", "MetaMath-Llemma-7B", "Llemma-7B"),
    ):
        yield Preset(
            name=name, hub=f"meta-math/{hub}", base=base, template="step-by-step", marker="The answer is: X", stop=WORDS,
            max_new_tokens=512, source="meta-math/MetaMath",
        )  # fmt: skip
    for name, hub, base in (
        ("mathoctopus-parallel-7b", "Parallel_7B", f"{LLAMA_2}-7B"),
        ("mathoctopus-parallel-13b", "Parallel_13B", f"{LLAMA_2}-13B"),
        ("mathoctopus-parallel-33b", "Parallel_33B", f"{LLAMA_1}-33B"),
        ("mathoctopus-cross-7b", "Cross_7B", f"{LLAMA_2}-7B"),
        ("mathoctopus-cross-13b", "Cross_13B", f"{LLAMA_2}-13B"),
        ("mathoctopus-cross-33b", "Cross_33B", f"{LLAMA_1}-33B"),
        ("mathoctopus-parallel-xrft-7b", "Parallel_xRFT_7B", f"{LLAMA_2}-7B"),
        ("mathoctopus-parallel-xrft-13b", "Parallel_xRFT_13B", f"{LLAMA_2}-13B"),
        ("mathoctopus-cross-xrft-7b", "Cross_xRFT_7B", f"{LLAMA_2}-7B"),
        ("mathoctopus-cross-xrft-13b", "Cross_xRFT_13B", f"{LLAMA_2}-13B"),
        ("mathoctopus-mistral-7b", "Mistral_Parallel_7B", MISTRAL),
    ):
        yield Preset(
            name=name, hub=f"Mathoctopus/{hub}", base=base, template="mathoctopus", marker="#### X, or the last number",
            licence="apache-2.0", source="microsoft/MathOctopus",
        )  # fmt: skip
    for size in ("7b", "13b"):
        yield Preset(
            name=f"qalign-{size}", hub=f"Wenhao97/QAlign-MetaMathQA-{size.upper()}", base=f"{LLAMA_2}-{size.upper()}",
            template=STUDY, marker="The answer is: X", source="NJUNLP/QAlign",
        )  # fmt: skip
    for name, hub, base in (
        ("metamathoctopus-7b", "MetaMathOctopus-7B", f"{LLAMA_2}-7B"),
        ("metamathoctopus-13b", "MetaMathOctopus-13B", f"{LLAMA_2}-13B"),
        ("metamathoctopus-mapo-7b", "MetaMathOctopus-MAPO-DPO-7B", f"{LLAMA_2}-7B"),
        ("metamathoctopus-mapo-13b", "MetaMathOctopus-MAPO-DPO-13B", f"{LLAMA_2}-13B"),
        ("mathoctopus-mapo-7b", "MathOctopus-MAPO-DPO-7B", f"{LLAMA_2}-7B"),
        ("mathoctopus-mapo-13b", "MathOctopus-MAPO-DPO-13B", f"{LLAMA_2}-13B"),
        ("mistralmathoctopus-7b", "MistralMathOctopus-7B", MISTRAL),
        ("mistralmathoctopus-mapo-7b", "MistralMathOctopus-MAPO-DPO-7B", MISTRAL),
    ):
        yield Preset(
            name=name, hub=f"kevinpro/{hub}", base=base, template="mathoctopus", marker="the last number", safetensors=True,
            source="NJUNLP/MAPO",
        )  # fmt: skip
    for size in ("7b", "13b", "70b"):
        yield Preset(
            name=f"mugglemath-{size}", hub=f"OFA-Sys/MuggleMath_{size.upper()}", base=f"{LLAMA_2}-{size.upper()}",
            template=STUDY, marker="?", source="OFA-Sys",
        )  # fmt: skip
    for base in ("Llama-2-7B", "Llama-2-13B", "CodeLlama-7B", "Llama-3.1-8B", "Qwen2.5-7B"):
        kinds: tuple[tuple[str, TemplateName], ...] = (
            ("Cross", "python-comments"), ("Question", "python-english"), ("Parallel", "python-comments"),
            ("No-Comment", "python"),
        )  # fmt: skip
        for kind, template in kinds:
            yield Preset(
                name=f"xpot-{base}-{kind}".lower(), hub=f"airesearch/{base}-Multi-{kind}", base=base, template=template,
                marker="what solver() returns", rule=SOLVER, max_new_tokens=600, added=(), source="calzonelover/xpot",
            )  # fmt: skip


PRESETS: Mapping[str, Preset] = {row.name: row for row in _rows()}
