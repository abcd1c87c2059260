"""Passwords and keys: found by value, by form and by place, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from qalign import pipeline
from qalign.redaction import redacted, redacted_command, secrets_of_url


@pytest.mark.parametrize(
    ("text", "hidden", "stays"),
    [
        ("http://anna:pa55w0rd@host:80/v1", ("anna", "pa55w0rd"), "host:80/v1"),
        ("http://anna:pa/55@host/v1 is no URL", ("anna", "pa/55", "55"), "is no URL"),
        ("anna:pa55w0rd@host/v1", ("anna", "pa55w0rd"), "host/v1"),
        ("http://host/v1?api_key=abc&x=1#end", ("abc", "=1"), "http://host/v1?api_key="),
        ("http://host/v1?k3y-abc", ("k3y-abc",), "http://host/v1?"),
        ("http://host/v1;key=k3y-abc", ("k3y-abc",), "http://host/v1;key="),
        ("Incorrect API key provided: sk-proj-abc123", ("sk-proj-abc123",), "Incorrect API key provided: "),
        ("the token hf_abcdefghijkl is wrong", ("hf_abcdefghijkl",), "the token "),
        ('{"Authorization": "Bearer a.b-c"}', ("a.b-c",), '{"Authorization": "Bearer '),
    ],
)
def test_a_secret_is_hidden_by_its_form_and_place(text: str, hidden: tuple[str, ...], stays: str) -> None:
    found = redacted(text)
    assert "***" in found and stays in found
    assert not [secret for secret in hidden if secret in found]


@pytest.mark.parametrize(
    "text",
    [
        "take gsm8k@main or owner/name@4f2a, module:function of your own, or task-abcdefgh",
        "see qalign eval MODEL --endpoint http://localhost:8000/v1 (key: OPENAI_API_KEY)",
        "pip install hf_transfer; the basic questions are in a: b",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_a_secret_is_hidden_by_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "my/key+1")
    monkeypatch.setenv("TEAM_API_KEY", "another key")
    assert redacted("my/key+1, my%2Fkey%2B1, another key, pa55") == "***, ***, ***, pa55"
    assert redacted("my pa55", secrets_of_url("http://me:pa55@host")) == "my ***"


KEY = "own-SECRET/0123"


@pytest.mark.parametrize(
    "written",
    [
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(b"Bearer " + KEY.encode()).decode(),
        base64.urlsafe_b64encode(b"me:" + KEY.encode() + b"\n").decode(),
        KEY.encode().hex().upper(),
        "".join(f"\\u{ord(character):04X}" for character in KEY),
        KEY.replace("-", "\\u002d").replace("/", "\\/"),
        "".join(f"%{ord(character):02x}" for character in KEY),
        KEY.replace("-", "&#45;").replace("/", "&#x2F;"),
        KEY.lower(),
        f"{KEY[:5]}\n{KEY[5:]}",
        f"{KEY[:5]}\u200b{KEY[5:]}",
    ],
)
def test_a_secret_is_hidden_however_it_is_written(written: str) -> None:
    found = redacted(f"the key {written} is wrong", {KEY})
    assert found.startswith("the key ") and found.endswith(" is wrong") and "***" in found
    middle = len(written) // 2
    assert written[middle - 4 : middle + 4] not in found


def test_looking_for_disguises_takes_no_time() -> None:
    began = time.monotonic()
    for piece in ("own-", "A", "\\", "%25", "o "):
        redacted(piece * 100_000, {KEY})
    assert time.monotonic() - began < 20


def test_a_placeholder_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    assert redacted("the file is EMPTY") == "the file is EMPTY"


def test_secrets_of_a_url_are_its_user_its_password_and_its_query() -> None:
    found = secrets_of_url("https://anna:p%40ss@host/v1?api_key=k1&v=2")
    assert {"anna", "p@ss", "k1", "2"} < found
    assert "YW5uYTpwQHNz" in found, "the header of basic authentication"
    assert secrets_of_url("http://[") == set()


def test_a_command_line_is_kept_without_secrets() -> None:
    words = ["qalign", "run", "--endpoint=http://u:pw@h/v1?k=v", "--set", "generation.max_new_tokens=64", "--api-key", "abc",
             "--launcher", "env WANDB_API_KEY=abc accelerate launch --token xyz --port 1", "--seed", "3", "\udcff"]  # fmt: skip
    assert redacted_command(words) == [
        "qalign", "run", "--endpoint=http://***@h/v1?k=***", "--set", "generation.max_new_tokens=64", "--api-key", "***",
        "--launcher", "env WANDB_API_KEY=*** accelerate launch --token *** --port 1", "--seed", "3", "\\udcff",
    ]  # fmt: skip


def test_a_stage_keeps_the_command_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sys.argv", ["qalign", "eval", "m", "--endpoint", "http://anna:pa55w0rd@h/v1?key=abc", "\udcff"]
    )
    stage = pipeline.Stage("one", 1, {}, lambda work: None)
    pipeline.run([stage], tmp_path)
    record = (stage.folder(tmp_path) / pipeline.RECORD).read_text(encoding="utf-8")
    assert not [secret for secret in ("anna", "pa55w0rd", "abc") if secret in record]
    assert json.loads(record)["command"][:4] == ["qalign", "eval", "m", "--endpoint"]
