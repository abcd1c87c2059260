"""A language that is not known: what is meant, or how to describe it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qalign.languages import LANGUAGES, likely


@pytest.mark.parametrize(
    ("text", "code"),
    [("swahili", "sw"), ("Swahilli", "sw"), ("deutsch", "de"), ("deu", "de"), ("ไทย", "th"), ("zh_CN", "zh"), ("EN-us", "en"),
     ("ben_Beng", "bn")],
)  # fmt: skip
def test_a_name_or_a_longer_code_means_the_code(text: str, code: str) -> None:
    assert likely(text, LANGUAGES) == f"did you mean '{code}'? It is the code of {LANGUAGES[code].name}"


@pytest.mark.parametrize("text", ["xx", "", "pt", "tamil", "klingon", "q" * 5000])
def test_no_language_is_made_up(text: str) -> None:
    assert likely(text, LANGUAGES).startswith("known codes: bn, th, sw")


def test_a_language_of_a_file_is_known_by_its_name() -> None:
    table = {**LANGUAGES, "ta": replace(LANGUAGES["te"], code="ta", name="Tamil", native_name="தமிழ்", iso639_3="tam")}
    assert likely("tamil", table) == likely("tam", table) == "did you mean 'ta'? It is the code of Tamil"
