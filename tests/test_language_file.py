"""Rows of further languages: what fits is read, what does not is refused in one line."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from qalign import languages
from qalign.errors import SettingError
from qalign.evaluation.scores import AVERAGE, NON_ENGLISH
from qalign.languages import (
    KEPT_ROWS,
    LANGUAGES,
    RESERVED,
    Language,
    further_rows,
    language_from,
    load_languages,
    with_rows_of_models,
)
from qalign.numbers import find_numbers
from qalign.records import write_json

VI = '[[language]]\ncode = "vi"\nname = "Vietnamese"\n'


def loaded(tmp_path: Path, text: str | bytes) -> dict[str, Language]:
    path = tmp_path / "rows.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_languages(path)


def test_the_built_in_rows_are_such_as_a_user_may_give() -> None:
    text = Path(languages.__file__).with_name("languages.toml").read_text(encoding="utf-8")
    rows = [language_from(row, "languages.toml") for row in tomllib.loads(text)["language"]]
    assert rows == list(LANGUAGES.values())


def test_every_field_is_read(tmp_path: Path) -> None:
    text = VI + (
        'native_name = "Tiếng Việt"\niso639_3 = "vie"\nscript = "Latn"\nzero = ""\ndecimal = ","\ngroups = "."\n'
        'indian_groups = false\nmyriads = false\nanswer_markers = ["đáp án là"]\nscales = { "nghìn" = 1000, "tỷ" = 1000000000 }\n'
    )
    table = loaded(tmp_path, "\ufeff" + text)
    assert {code: row for code, row in table.items() if code != "vi"} == LANGUAGES
    assert table["vi"] == Language(
        "vi", "Vietnamese", "Tiếng Việt", "vie", decimal=",", groups=".", answer_markers=("đáp án là",),
        scales={"nghìn": 1000, "tỷ": 10**9},
    )  # fmt: skip
    assert [number.value for number in find_numbers("1.234,5 và 2 nghìn", table["vi"])] == [1234.5, 2000]


def test_the_package_s_own_rows_fit() -> None:
    for row in LANGUAGES.values():
        assert language_from(dataclasses.asdict(row), "table") == row


def test_a_known_code_changes_the_fields_that_are_given(tmp_path: Path) -> None:
    german = loaded(tmp_path, '[[language]]\ncode = "de"\nname = "German"\nanswer_markers = ["ergebnis:"]\n')["de"]
    assert german == dataclasses.replace(LANGUAGES["de"], answer_markers=("ergebnis:",))


def test_the_names_in_tables_are_reserved() -> None:
    assert {AVERAGE, NON_ENGLISH, "all"} == set(RESERVED)


BROKEN = [
    ("", "has no [[language]] row"),
    ("language = []", "has no [[language]] row"),
    ("language = 5", "has no [[language]] row"),
    ('language = "vi"', "has no [[language]] row"),
    ('[language]\ncode = "vi"\nname = "Vietnamese"\n', "has no [[language]] row"),
    ("language=[1]", "has no [[language]] row"),
    ("language=[[1]]", "has no [[language]] row"),
    ("language=[{}]", "a language row needs 'code', a text"),
    ('[[languages]]\ncode = "vi"\nname = "Vietnamese"\n', "holds 'languages', which is not a [[language]] row"),
    (VI + "[other]\n", "holds 'other', which is no"),
    ("[[language]", "is not TOML"),
    (b"\xff\xfe[", "is not TOML"),
    (VI + 'code = "vi"\n', "is not TOML"),
    ("x = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    ("x = " + "9" * 5000, "is not TOML"),
    ("x = 1\n" * 200_000, "larger than 1 MiB"),
    (VI + VI, "the language 'vi' stands twice"),
    (VI.replace('"vi"', '"zh-tw"') + VI.replace('"vi"', '"zh_tw"').replace("Viet", "Other"), "looks like 'zh-tw' (Vietnamese)"),
    (VI.replace('"vi"', '"non-english"'), "it must be the code of a language"),
    (VI.replace("Vietnamese", "\uff27erman "), "looks like 'de' (German) in tables; give it"),
    (VI + 'scales = { "." = 7 }\n', "with letters and without digits"),
    (VI.replace("vi", "en"), "the language 'en' is English, which cannot be changed"),
    (VI.replace("Vietnamese", "German"), "'vi' (German) looks like 'de' (German)"),
    (VI.replace("Vietnamese", "english"), "'vi' (english) looks like 'en' (English)"),
    (VI + VI.replace('"vi"', '"vn"'), "'vn' (Vietnamese) looks like 'vi' (Vietnamese)"),
    (VI.replace('"vi"', '"vi-VN"') + VI.replace('"vi"', '"vi-vn"').replace("ese", ""), "'vi-vn' (Vietnam) looks like"),
    *((VI.replace("vi", code), "it must be the code of a language") for code in (
        "average", "all", "non_english", "Vi", "v", "vi.jsonl", "../vi", "vi,id", "vi ", "v1", "việt", "vi-", "__proto__",
        "constructor", "*",
    )),
    (VI.replace('"vi"', '""'), "'code' is ''; it must be the code"),
    (VI.replace('"vi"', "5"), "'code' is 5; it must be the code"),
    (VI.replace('"vi"', '["vi"]'), "'code' is ['vi']; it must be the code"),
    (VI.replace('"Vietnamese"', "2020-01-01"), "'name' of the language vi is 2020-01-01; it must be a text of one line"),
    (VI.replace('"Vietnamese"', '"  "'), "'name' of the language vi is '  '; it must be a text of one line"),
    (VI.replace('"Vietnamese"', '"a\\nb"'), "'name' of the language vi is 'a\\nb'; it must be a text of one line"),
    (VI.replace('"Vietnamese"', '"a\\u001Bb"'), "'name' of the language vi is 'a\\x1bb'; it must be"),
    (VI.replace('"Vietnamese"', f'"{"a" * 300}"'), "it must be a text of one line"),
    (VI + "names = 1\n", "no field 'names': did you mean 'name'?"),
    (VI + '"\\u001B]0;" = 1\n', "no field '\\x1b]0;'"),
    (VI + "native_name = 5\n", "'native_name' of the language vi is 5; it must be a text"),
    (VI + 'iso639_3 = "vi"\n', "'iso639_3' of the language vi is 'vi'; it must be three small letters"),
    (VI + 'script = "latin"\n', "it must be a code such as Latn"),
    (VI + 'zero = "1"\n', "'zero' of the language vi is '1'; it must be the digit for 0"),
    (VI + 'zero = "১"\n', "it must be the digit for 0"),
    (VI + 'zero = "००"\n', "it must be the digit for 0"),
    (VI + 'zero = "〇"\n', "it must be the digit for 0"),
    (VI + "zero = 0\n", "it must be the digit for 0"),
    (VI + 'decimal = ","\n', "has ',' both as 'decimal' and in 'groups'"),
    (VI + 'groups = "."\n', "has '.' both as 'decimal' and in 'groups'"),
    (VI + 'decimal = "5"\n', "it must be '.' or ','"),
    (VI + 'decimal = "-"\n', "it must be '.' or ','"),
    (VI + 'decimal = ""\n', "it must be '.' or ','"),
    (VI + "decimal = 1.5\n", "it must be '.' or ','"),
    (VI + 'groups = "0"\n', "it must be characters out of"),
    (VI + 'groups = ",x"\n', "it must be characters out of"),
    (VI + 'groups = [","]\n', "it must be characters out of"),
    (VI + "indian_groups = 1\n", "it must be true or false"),
    (VI + 'myriads = "false"\n', "it must be true or false"),
    (VI + 'answer_markers = "đáp án"\n', "it must be a list of texts"),
    (VI + 'answer_markers = [""]\n', "it must be a list of texts"),
    (VI + 'answer_markers = ["\\u200B"]\n', "it must be a list of texts"),
    (VI + "answer_markers = [1]\n", "it must be a list of texts"),
    *((VI + f"scales = {scales}\n", "it must be a table from words to whole numbers") for scales in (
        '{ "nghìn" = 0 }', '{ "nghìn" = -1000 }', '{ "nghìn" = 1 }', '{ "" = 1000 }', '{ "1k" = 1000 }',
        '{ "nghìn" = 9999999999999999999 }', '{ "tỷ" = 10, "Tỷ" = 100 }', '{ "nghìn" = 1.5 }',
        '{ "nghìn" = true }', '["nghìn"]', '"nghìn"', '{ "nghìn" = "1000" }', '{ a = { b = 1 } }',
    )),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        loaded(tmp_path, text)
    assert str(caught.value).startswith((str(tmp_path / "rows.toml"), f"cannot read the language file {tmp_path}"))
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_a_path_that_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(SettingError, match="is not a file; give a TOML file"):
            load_languages(path)
    with pytest.raises(SettingError, match=r"cannot read the language file .*: No such file"):
        load_languages(tmp_path / "none.toml")
    with pytest.raises(SettingError, match=r"cannot read the language file .*: File name too long"):
        load_languages(tmp_path / ("a" * 5000))


def test_rows_that_models_keep_stand_behind_those_of_the_user(tmp_path: Path) -> None:
    rows = {
        "vi": {"code": "vi", "name": "Vietnamese", "answer_markers": ["đáp án:"]},
        "de": {"code": "de", "name": "Deutsch"},
    }
    table = dict(LANGUAGES) | {code: language_from(row, code) for code, row in rows.items()}
    kept = further_rows(table)
    assert list(kept) == ["vi"], "what is built in is not kept"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / KEPT_ROWS, {**kept, "de": {"code": "de", "name": "Deutsch"}})
    models = [str(tmp_path / "a"), str(tmp_path / "b"), "owner/name", str(tmp_path / "none")]
    assert with_rows_of_models(models, LANGUAGES) == {**LANGUAGES, "vi": table["vi"]}, "no model changes German"
    own = language_from({"code": "vi", "name": "Vietnamese", "decimal": ",", "groups": "."}, "own")
    assert with_rows_of_models(models, {**LANGUAGES, "vi": own})["vi"] == own
    write_json(tmp_path / "b" / KEPT_ROWS, {"vi": {"code": "vi", "name": "Annamese"}})
    with pytest.raises(SettingError, match="describe the language 'vi' differently; give one row with --language-file"):
        with_rows_of_models(models, LANGUAGES)
    assert with_rows_of_models(models, {**LANGUAGES, "vi": own})["vi"] == own


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "languages.json is not valid JSON"),
        ("[]", "languages.json holds no rows of languages; remove it"),
        ('{"vi": {"code": "vi"}}', "languages.json: a language row needs 'name'"),
        ('{"vi": {"code": "vi", "name": "V", "zero": "x"}}', "'zero' of the language vi is 'x'"),
    ],
)
def test_kept_rows_that_are_broken_are_one_line(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / KEPT_ROWS).write_text(content)
    with pytest.raises(SettingError, match=re.escape(says)):
        with_rows_of_models([str(tmp_path)], LANGUAGES)
