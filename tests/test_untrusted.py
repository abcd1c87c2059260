"""Text from outside is parsed strictly and escaped before it is shown."""

from __future__ import annotations

import pytest

from qalign.errors import DataError
from qalign.untrusted import DEEPEST, check_surrogates, parse_json, printable


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' appears twice"),
        ('[{"x": {"k": 1, "k": 1}}]', "the key 'k' appears twice"),
        ("[NaN]", "NaN is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ("[1e999]", "too large"),
        ("[" + "1" * 5000 + "]", "not valid JSON"),
        ('{"id": "a\\udc00"}', "half of a surrogate pair (U+DC00)"),
        ('{"\\uD800": 1}', "half of a surrogate pair (U+D800)"),
        ("[" * 100_000, f"deeper than {DEEPEST}"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), f"deeper than {DEEPEST}"),
        ('{"a":' * 60_000 + "1" + "}" * 60_000, f"deeper than {DEEPEST}"),
        (b'"\xff"', "not UTF-8"),
        ("", "not valid JSON"),
        ('{"a": 1', "not valid JSON"),
    ],
)
def test_what_json_should_not_hold_is_refused_with_its_place(text: str | bytes, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_json(text, "file line 7")
    assert str(caught.value).startswith("file line 7 ")
    assert reason in str(caught.value)
    assert printable(str(caught.value)) == str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, null, true], "b": "x"}', {"a": [1, 2.5, None, True], "b": "x"}),
        ('"\\ud83d\\ude00 \\ud7ff"', "\U0001f600 \ud7ff"),
        (b'{"\xe0\xa6\x95": "\xe0\xb8\x81"}', {"ক": "ก"}),
        ("[" * DEEPEST + "]" * DEEPEST, None),
    ],
)
def test_json_is_read(text: str | bytes, value: object) -> None:
    read = parse_json(text, "x")
    assert value is None or read == value


def test_what_steers_a_terminal_is_escaped_and_writing_stays() -> None:
    hostile = "a\x1b]52;c;aGk=\x07b\u202ec\nd\x9b31m\ud800"
    assert printable(hostile) == r"a\x1b]52;c;aGk=\x07b\u202ec\nd\x9b31m\ud800"
    kept = "ক্ষ\u200dক, ฿5\u00a0000, 三分之二 \u3000 Ünïcode 😀"
    assert printable(kept) == kept


def test_half_a_surrogate_pair_is_named() -> None:
    check_surrogates("😀", "x")
    with pytest.raises(DataError, match=r"row 3 holds half of a surrogate pair \(U\+DFFF\)"):
        check_surrogates("a\udfff", "row 3")
