"""A language that is not known: what is meant, or how to describe it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qalign.errors import SettingError
from qalign.iso639 import NAMES
from qalign.languages import LANGUAGES, language, likely


@pytest.mark.parametrize(
    ("text", "code"),
    [("swahili", "sw"), ("Swahilli", "sw"), ("deutsch", "de"), ("deu", "de"), ("ไทย", "th"), ("zh_CN", "zh"), ("EN-us", "en"),
     ("jp", "ja"), ("ben_Beng", "bn")],
)  # fmt: skip
def test_a_name_or_a_longer_code_means_the_code(text: str, code: str) -> None:
    assert likely(text, LANGUAGES) == f"did you mean '{code}'? It is the code of {LANGUAGES[code].name}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pt", "unknown language 'pt': the code of Portuguese, which is not built in: describe it in a file, --language-file"),
        ("tamil", "unknown language 'tamil': Tamil has the code 'ta' and is not built in: describe it in a file"),
        ("pt-BR", "unknown language 'pt-BR': Portuguese has the code 'pt' and is not built in"),
    ],
)  # fmt: skip
def test_a_real_language_that_is_not_built_in_is_no_mistake(text: str, says: str) -> None:
    with pytest.raises(SettingError) as caught:
        language(text)
    assert str(caught.value).startswith(says)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("text", ["xx", "", "klingon", "q" * 5000])
def test_no_language_is_made_up(text: str) -> None:
    assert likely(text, LANGUAGES).startswith("known: bn, th, sw")


def test_a_language_of_a_file_is_known_by_its_name() -> None:
    table = {**LANGUAGES, "ta": replace(LANGUAGES["te"], code="ta", name="Tamil", native_name="தமிழ்", iso639_3="tam")}
    assert likely("tamil", table) == likely("tam", table) == "did you mean 'ta'? It is the code of Tamil"


def test_the_table_of_names_agrees_with_the_languages() -> None:
    assert len(NAMES) == 183
    assert {code: NAMES[code] for code in LANGUAGES} == {code: row.name for code, row in LANGUAGES.items()}
