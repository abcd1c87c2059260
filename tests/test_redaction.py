"""Passwords and keys: found by value, by form and by place, and nothing else is taken for one."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest

from qalign.redaction import redacted, secrets_of_url


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


@pytest.mark.parametrize(
    "part", ["http://", "a:b", "x@", "://;a=", "?a=", "sk-", "key=", "\\u0041", "s3cr-", "A", "\\", "%25", "o "]
)
def test_a_hostile_text_comes_to_an_end(part: str) -> None:
    """A server decides what an error says: in quadratic time such a body takes minutes."""
    program = f"from qalign.redaction import redacted; redacted({part!r} * 40_000 + 's3cr3t-key-9', ['s3cr3t-key-9'])"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
