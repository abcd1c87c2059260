"""What docs/ecosystem.md and docs/troubleshooting.md say: the Python of the one runs, the messages of the other exist."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qalign.cli import app
from qalign.models.tiny import TinyConfig, make_tiny
from test_house_rules import MODULES, REPOSITORY, code_blocks, tree_of

SHAPE = TinyConfig(vocabulary=300, hidden_size=32, layers=1, heads=2, intermediate_size=64)


def block(begins: str) -> str:
    """The Python of docs/ecosystem.md that holds these words."""
    (found,) = [code for code in code_blocks(REPOSITORY / "docs" / "ecosystem.md") if begins in code]
    return found


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    make_tiny(["Anna has 3 apples.", "Below is an instruction."], SHAPE, folder)
    return folder


def test_transformers_answers_with_the_training_prompt(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        block("tokenizer.apply_chat_template")
        .replace("FOLDER", str(base))
        .replace("max_new_tokens=512", "max_new_tokens=4")
    )
    names: dict[str, object] = {}
    exec(code, names)
    prompt = names["tokenizer"].decode(names["inputs"]["input_ids"][0])  # type: ignore[attr-defined, index]
    assert "Below is an instruction" in prompt
    assert names["question"][0]["content"] in prompt  # type: ignore[index]


def test_an_adapter_is_merged_into_a_base_that_is_accepted(base: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from qalign.models.opening import check_model

    adapter, merged = tmp_path / "adapter", tmp_path / "merged"
    model = AutoModelForCausalLM.from_pretrained(base)
    get_peft_model(model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")).save_pretrained(adapter)
    code = block("merge_and_unload")
    for name, folder in {"ADAPTER": adapter, "MERGED": merged, "BASE": base}.items():
        code = code.replace(f'"{name}"', repr(str(folder)))
    exec(code, {})
    check_model(merged)


def test_samples_of_lm_eval_are_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answers = {"Jibu ni 7.": 7, "Jibu ni 8.": 9}
    rows = [
        {"doc_id": number, "doc": {"answer_number": gold}, "resps": [[text]]}
        for number, (text, gold) in enumerate(answers.items())
    ]
    Path("samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    exec(block("samples.jsonl"), {})
    (command,) = [line for line in block("qalign score").splitlines() if line.startswith("qalign")]
    result = CliRunner().invoke(app, [*command.split()[1:], "--judgements", "read.jsonl"])
    assert result.exit_code == 0, result.stderr
    judgements = [json.loads(line) for line in Path("read.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["outcome"] for row in judgements] == ["correct", "wrong"]


def test_each_line_of_the_table_names_its_tests_or_a_date() -> None:
    text = (REPOSITORY / "docs" / "ecosystem.md").read_text(encoding="utf-8")
    table = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    checks = [line.split(" | ")[-1].rstrip(" |") for line in table[1:]]
    assert len(checks) > 10
    targets = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for check in checks:
        for path in re.findall(r"`(tests/\S+)`", check):
            assert (REPOSITORY / path).is_file()
        for target in re.findall(r"`make (\S+)`", check):
            assert f"\n{target}:" in targets
        assert re.search(r"`(?:tests/|make )|^20\d\d-\d\d-\d\d|^untested$", check), check


def texts_of_the_package() -> str:
    """All texts in the code, what is filled in left out."""
    found = []
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.JoinedStr):
                found.append("…".join(part.value for part in node.values if isinstance(part, ast.Constant)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_the_messages_that_are_explained_exist() -> None:
    document = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", document.partition("## Common errors")[2], re.MULTILINE)
    quoted = [code for row in rows for code in re.findall(r"`([^`]+)`", row)]
    quoted += re.findall(r"[Ee]rror is `([^`]+)`", document)
    assert len(quoted) > 20
    texts = texts_of_the_package()
    assert [code for code in quoted if not all(part in texts for part in code.split(" ... "))] == []
