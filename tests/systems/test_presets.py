"""Published checkpoints: each opens from its layout, is asked in its authors' prompt and in the study's, token for token."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from tokenizers import Tokenizer
from typer.testing import CliRunner

from fake_hub import fake_hub
from own_data import OwnData
from published import RFT, TOKENS, USUAL, write_checkpoint
from qalign import pipeline
from qalign.alignment.prompts import encode_prompts
from qalign.alignment.templates import TEMPLATES
from qalign.cli import app
from qalign.errors import SettingError
from qalign.models.opening import check_model, load_tokenizer
from qalign.records import sha256
from qalign.systems.ask import Ask
from qalign.systems.bases import ConvertModel, FetchModel, convert
from qalign.systems.evaluated import scores_of
from qalign.systems.presets import PRESETS, RECALLED, Preset
from qalign.systems.programs import RunPrograms
from qalign.systems.running import as_published, evaluate
from qalign.systems.study import study

ANSWER = "Below is an instruction that describes a task. Write a response that appropriately completes the request"
QUESTION = "Ann has 3 apples\nand buys ১৮ more. How many?"
TEXTS = {
    "study": f"{ANSWER}.\n\n### Instruction:\n{QUESTION}\n\n### Response:",
    "step-by-step": f"{ANSWER}.\n\n### Instruction:\n{QUESTION}\n\n### Response: Let's think step by step.",
    "program": f"{ANSWER}.\n\n### Instruction:\n{QUESTION} Let's write a program.\n\n### Response:",
    "mathoctopus": f"{ANSWER} in Thai. Please answer in Thai.\n\n### Instruction:\n{QUESTION}\n\n### Response:",
    "python": f"{ANSWER} in Python. Please answer in Python.\n\n### Instruction:\n{QUESTION}\n\n### Response:",
    "python-comments": f"{ANSWER} in Python with inline comments in Thai. Please answer in Python with inline comments in Thai."
    f"\n\n### Instruction:\n{QUESTION}\n\n### Response:",
    "python-english": f"{ANSWER} in Python with inline comments in English. Please answer in Python with inline comments in "
    f"English.\n\n### Instruction:\n{QUESTION}\n\n### Response:",
}
"""The prompts as their authors publish them, in full."""
HUB = """
OFA-Sys/gsm8k-rft-llama7b2-u13b OFA-Sys/gsm8k-rft-llama13b2-u13b OFA-Sys/gsm8k-rft-llama7b-u13b
OFA-Sys/gsm8k-rft-llama13b-u13b OFA-Sys/gsm8k-rft-llama7b-sample100
WizardLMTeam/WizardMath-7B-V1.0 WizardLMTeam/WizardMath-13B-V1.0 WizardLMTeam/WizardMath-70B-V1.0
WizardLMTeam/WizardMath-7B-V1.1
TIGER-Lab/MAmmoTH-7B TIGER-Lab/MAmmoTH-13B TIGER-Lab/MAmmoTH-70B TIGER-Lab/MAmmoTH-Coder-7B
TIGER-Lab/MAmmoTH-Coder-13B TIGER-Lab/MAmmoTH-Coder-34B TIGER-Lab/MAmmoTH-7B-Mistral
meta-math/MetaMath-7B-V1.0 meta-math/MetaMath-13B-V1.0 meta-math/MetaMath-70B-V1.0 meta-math/MetaMath-Mistral-7B
meta-math/MetaMath-Llemma-7B
Mathoctopus/Parallel_7B Mathoctopus/Parallel_13B Mathoctopus/Parallel_33B Mathoctopus/Cross_7B Mathoctopus/Cross_13B
Mathoctopus/Cross_33B Mathoctopus/Parallel_xRFT_7B Mathoctopus/Parallel_xRFT_13B Mathoctopus/Cross_xRFT_7B
Mathoctopus/Cross_xRFT_13B Mathoctopus/Mistral_Parallel_7B
Wenhao97/QAlign-MetaMathQA-7B Wenhao97/QAlign-MetaMathQA-13B
kevinpro/MetaMathOctopus-7B kevinpro/MetaMathOctopus-13B kevinpro/MetaMathOctopus-MAPO-DPO-7B
kevinpro/MetaMathOctopus-MAPO-DPO-13B kevinpro/MathOctopus-MAPO-DPO-7B kevinpro/MathOctopus-MAPO-DPO-13B
kevinpro/MistralMathOctopus-7B kevinpro/MistralMathOctopus-MAPO-DPO-7B
OFA-Sys/MuggleMath_7B OFA-Sys/MuggleMath_13B OFA-Sys/MuggleMath_70B
""".split()  # noqa: SIM905 (as a table)
XPOT = [
    f"airesearch/{base}-Multi-{kind}"
    for base in ("Llama-2-7B", "Llama-2-13B", "CodeLlama-7B", "Llama-3.1-8B", "Qwen2.5-7B")
    for kind in ("Cross", "Question", "Parallel", "No-Comment")
]
Layout = tuple[Literal["slow", "fast"], tuple[str, str, str], bool, int]
"""Tokenizer, special tokens, `[PAD]`, files."""


def layout(preset: Preset) -> Layout:
    """How the files of a checkpoint are laid out."""
    if preset.source == "OFA-Sys/gsm8k-ScRel":
        return ("slow", RFT, True, 2)
    if preset.safetensors or preset.source == "calzonelover/xpot":
        return ("fast", USUAL, bool(preset.added), 2)
    return ("slow", USUAL, True, 3 if "7b" in preset.name else 2)


@pytest.fixture(scope="module")
def opened(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Layout, Path]:
    """A converted checkpoint of each layout that can be made here."""
    found: dict[Layout, Path] = {}
    for kind in dict.fromkeys(map(layout, PRESETS.values())):
        tokenizer, special, pad, files = kind
        folder = tmp_path_factory.mktemp("layout")
        try:
            write_checkpoint(folder / "model", base, tokenizer=tokenizer, special=special, pad=pad, files=files)
        except ModuleNotFoundError:  # sentencepiece
            continue
        convert(folder / "model", folder / "new")
        found[kind] = folder / "new"
    return found


def reference(folder: Path) -> Any:
    """An encoder of plain texts that shares nothing with the one of the package."""
    if (folder / "tokenizer.model").is_file():
        import sentencepiece

        return sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).encode
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return lambda text: plain.encode(text, add_special_tokens=False).ids


def test_the_table_has_every_checkpoint_that_was_listed() -> None:
    assert [row.hub for row in PRESETS.values()] == [*HUB, *XPOT]
    assert [name for name in PRESETS if name != name.lower() or "/" in name] == []


@pytest.mark.parametrize("name", PRESETS)
def test_a_checkpoint_opens_from_its_layout_and_reads_its_prompt_token_for_token(
    opened: dict[Layout, Path], name: str
) -> None:
    preset = PRESETS[name]
    if (kind := layout(preset)) not in opened:
        pytest.skip("a SentencePiece tokenizer needs: pip install sentencepiece")
    folder = opened[kind]
    tokenizer, encoded = load_tokenizer(folder), reference(folder)
    for template in (preset.template, "study"):
        prompt = TEMPLATES[template].prompt(QUESTION, "Thai")
        assert prompt == TEXTS[template]
        (ids,) = encode_prompts([prompt], tokenizer)
        assert ids == [2 if kind[1] == RFT else 1, *encoded(TEXTS[template])]
    assert len(tokenizer) == TOKENS + bool(preset.added)
    assert preset.added == (("[PAD]",) if kind[2] else ())


@pytest.mark.parametrize("kind", dict.fromkeys(map(layout, PRESETS.values())))
def test_a_model_of_each_layout_is_whole(opened: dict[Layout, Path], kind: Layout) -> None:
    if kind not in opened:
        pytest.skip("a SentencePiece tokenizer needs: pip install sentencepiece")
    check_model(opened[kind])


# --- how they are measured --------------------------------------------------------------------------------------------


def rows(name: str, own_data: OwnData, folder: Path, *settings: str) -> dict[str, Any]:
    """The decoding of each row, by its name."""
    made = study(test=str(own_data.test), runs=folder, settings=settings)
    found = as_published(name, replace(PRESETS[name], revision="a" * 40), made)
    return {row.name: next(iter(row.scores.values())).answers for row in found}


@pytest.mark.parametrize(("name", "tokens", "stop"), [
    ("metamath-7b", 512, ("Question", "USER", "ASSISTANT", "Instruction", "Response")),
    ("wizardmath-7b", 1024, ("Instruction", "Response", "</s>")),
    ("mathoctopus-parallel-7b", 600, None),
])  # fmt: skip
def test_two_rows_where_the_prompts_differ(
    own_data: OwnData, tmp_path: Path, name: str, tokens: int, stop: tuple[str, ...] | None
) -> None:
    found = rows(name, own_data, tmp_path)
    assert list(found) == [name, f"{name}-study"]
    own, plain = (ask.decoding for ask in found.values())
    assert (own.template, own.max_new_tokens, own.stop) == (PRESETS[name].template, tokens, stop)
    assert (plain.template, plain.max_new_tokens, plain.stop) == (None, 600, None)
    assert [ask.prompt_template for ask in found.values()] == [PRESETS[name].template, "study"]
    assert {ask.model.fingerprint for ask in found.values()} == {found[name].model.fingerprint}
    assert type(found[name].model) is ConvertModel


def test_one_row_where_they_do_not_or_where_a_setting_decides(
    own_data: OwnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(rows("qalign-7b", own_data, tmp_path)) == ["qalign-7b"]
    assert list(rows("metamath-7b", own_data, tmp_path, "generation.template=program")) == ["metamath-7b"]
    assert capsys.readouterr().err == ""
    assert list(rows("xpot-qwen2.5-7b-cross", own_data, tmp_path)) == ["xpot-qwen2.5-7b-cross"]
    assert "is asked as the study did: it writes a function solver" in capsys.readouterr().err
    safe = rows("metamathoctopus-7b", own_data, tmp_path)["metamathoctopus-7b"].model
    assert type(safe) is FetchModel


def test_one_that_writes_programs_is_asked_for_one_and_then_in_words(own_data: OwnData, tmp_path: Path) -> None:
    made = study(test=str(own_data.test), runs=tmp_path)
    own, plain = as_published("m", replace(PRESETS["mammoth-7b"], revision="a" * 40), made)
    asked = [stage for stage in pipeline.in_order(scores_of([own])) if isinstance(stage, Ask)]
    assert {one.prompt_template for one in asked} == {"program", "study"}
    assert {(one.decoding.max_new_tokens, len(one.decoding.stop or ())) for one in asked} == {(1024, 5)}
    assert not [stage for stage in pipeline.in_order(scores_of([plain])) if isinstance(stage, RunPrograms)]


def test_a_folder_of_the_same_name_is_not_taken_for_it(
    own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metamath-7b").mkdir()
    with pytest.raises(SettingError, match=r"is a published checkpoint too; for what is here give \./metamath-7b"):
        evaluate("metamath-7b", study(test=str(own_data.test), runs=tmp_path / "runs"))


def test_they_are_listed_with_what_was_recalled() -> None:
    listed = CliRunner().invoke(app, ["list", "checkpoints"], env={"COLUMNS": "400"}).output
    assert all(name in listed and row.hub in listed for name, row in PRESETS.items())
    assert all(text in " ".join(listed.split()) for text in RECALLED.values())


@pytest.mark.slow
def test_a_published_checkpoint_is_fetched_converted_and_measured_by_its_name(
    base: Path, own_data: OwnData, tmp_path: Path
) -> None:
    write_checkpoint(tmp_path / "metamath", base)
    with fake_hub(tmp_path) as hub:
        pushed = {path.name: path.read_bytes() for path in (tmp_path / "metamath").iterdir()}
        hub.push("models/meta-math/MetaMath-7B-V1.0", pushed)
        words = ["eval", "metamath-7b", "--test", str(own_data.test), "--test-languages", "en,de", "--limit", "2"]
        words += ["--set", "generation.max_new_tokens=4", "--output", "out"]
        done = hub.qalign(*words)
        assert done.returncode == 0, done.stderr
        results = json.loads((hub.folder / "out" / "results.json").read_text("utf-8"))
        assert list(results["systems"]) == ["metamath-7b", "metamath-7b-study"]
        (folder,) = (hub.folder / "runs" / "stages").glob("published-*")
        assert {path.suffix for path in folder.iterdir()} >= {".safetensors"}
        assert not [*folder.glob("*.bin")]
        asked = len(hub.asked)
        files = (hub.folder / "runs" / "stages").glob("generate-*/predictions.jsonl")
        first = [json.loads(file.read_text("utf-8").splitlines()[0]) for file in files]
        question = json.loads((own_data.test / f"{first[0]['language']}.jsonl").read_text("utf-8").splitlines()[0])[
            "question"
        ]
        named = {"en": "English", "de": "German"}[first[0]["language"]]
        texts = [TEMPLATES[name].prompt(question, named) for name in ("study", "step-by-step")]
        assert {row["prompt_sha256"] for row in first} == set(map(sha256, texts))
        assert hub.qalign(*words).returncode == 0
        assert not [line for line in hub.asked[asked:] if ".bin" in line]  # nothing is fetched or converted again
