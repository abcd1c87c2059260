"""The world's corpora read like any other: by name, in their roles, with their counts; `qalign world` shows and writes them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qalign.cli import app
from qalign.corpora import CORPORA, Role, Source, Text
from qalign.corpora.table import PAIR_KINDS
from qalign.errors import SettingError
from qalign.languages import STUDY
from qalign.records import Document, Pair, Problem
from qalign.world import VERSION, sets
from qalign.world import text as base_text

Locate = Callable[..., Source]
Read = Callable[..., Text]

WORLD = {name: row for name, row in CORPORA.items() if row.world is not None}
IN_ROLES = [(name, role) for name, row in WORLD.items() for role in row.roles]
FAST = [(name, role) for name, role in IN_ROLES if name not in ("world-text", "world-metamathqa", "world-mathinstruct")]


def languages_of(name: str, role: Role) -> list[str]:
    """All languages that a corpus has in a role."""
    if role == "english":
        return ["en"]
    return [code for code in WORLD[name].languages if code != "en" or role not in PAIR_KINDS]


# --- the reader -------------------------------------------------------------------------------------------------------


def test_there_is_one_for_each_set_of_the_world() -> None:
    assert {row.world for row in WORLD.values()} == set(sets.SIZES)
    for name, row in WORLD.items():
        assert name == f"world-{row.world}"
        mirrored = CORPORA.get(str(row.world))
        assert mirrored is None or set(mirrored.roles) == set(row.roles), "a mirror has the roles of what it mirrors"


def check_reading(name: str, role: Role, load: Read) -> Text:
    codes = languages_of(name, role)
    found = load(name, role, codes)
    size = sets.SIZES[str(WORLD[name].world)]
    assert found.counts == found.published == dict.fromkeys(codes, size)
    assert (found.dropped, found.notes) == ([], [])
    kind = Pair if role in PAIR_KINDS else Problem
    assert all(isinstance(one, kind) and one.source.partition(":")[0] == name for one in found.records)
    by_language = {code: [one.id for one in found.records if one.language == code] for code in codes}
    assert all(ids == by_language[codes[0]] for ids in by_language.values()), "the same ids, in the same order"
    return found


@pytest.mark.parametrize(("name", "role"), FAST)
def test_each_role_reads_with_the_published_counts(name: str, role: Role, load: Read) -> None:
    found = check_reading(name, role, load)
    for problem in found.problems:
        assert problem.gold is not None
        assert (problem.answer is None) == (role == "test")
    for pair in found.records if role in PAIR_KINDS else ():
        assert pair.kind == PAIR_KINDS[role]
        assert pair.text != pair.text_en


@pytest.mark.slow
def test_the_large_english_set_reads_with_the_published_count(load: Read) -> None:
    found = check_reading("world-metamathqa", "english", load)
    assert len({problem.question for problem in found.problems}) == len(found.problems)


@pytest.mark.slow
def test_the_text_reads_whole(
    text_documents: list[base_text.Document], monkeypatch: pytest.MonkeyPatch, load: Read
) -> None:
    monkeypatch.setattr(sets, "documents", lambda count, languages: iter(text_documents[:count]))
    found = load("world-text", "text", STUDY)
    assert sum(found.counts.values()) == len(found.records) == sets.SIZES["text"]
    assert list(found.counts) == list(STUDY)
    assert (found.problems, found.notes) == ([], [])
    by_place = {int(one.id): one for one in found.records}
    for place, document in enumerate(text_documents):
        assert by_place[place] == Document(str(place), document.language, document.text, "world-text")


def test_pairs_and_problems_are_the_same_texts(load: Read) -> None:
    """The question that aligns is the question that teaches, and its English side is the English problem."""
    problems = {(p.language, p.id): p for p in load("world-gsm8kinstruct", "multilingual", STUDY).problems}
    others = [code for code in STUDY if code != "en"]
    for pair in load("world-gsm8kinstruct", "questions", others).records:
        assert pair.text == problems[pair.language, pair.id].question
        assert pair.text_en == problems["en", pair.id].question
    for pair in load("world-gsm8kinstruct", "answers", others).records:
        assert pair.text == problems[pair.language, pair.id].answer
        assert pair.text_en == problems["en", pair.id].answer
    assert load("world-gsm8k", "english", ["en"]).problems == [
        dataclasses.replace(problem, source="world-gsm8k") for (code, _), problem in problems.items() if code == "en"
    ]


def test_it_is_known_by_its_version_in_any_language(
    find: Locate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = find("world-mgsm", "test", ["bn"])
    assert source.identity() == {"corpus": "world-mgsm", "role": "test", "revision": f"world-{VERSION}"}
    assert source == find("world-mgsm", "test", ["th", "en"], data=tmp_path)
    monkeypatch.setattr("qalign.world.VERSION", VERSION + 1)
    assert find("world-mgsm", "test", ["bn"]).identity() != source.identity()


@pytest.mark.parametrize("name", list(WORLD))
def test_a_revision_is_refused(name: str, find: Locate) -> None:
    role = WORLD[name].roles[0]
    codes = languages_of(name, role)
    message = f"^{name} is made by the embedded world and has no revisions: ask for {name}$"
    with pytest.raises(SettingError, match=message):
        find(f"{name}@main", role, codes)


def test_a_role_that_a_corpus_does_not_have_is_refused(find: Locate) -> None:
    with pytest.raises(
        SettingError, match=r"^world-mgsm holds no questions, only test: use gsm8kinstruct, world-gsm8kinstruct"
    ):
        find("world-mgsm", "questions", ["bn"])


def test_a_language_that_nobody_knows(find: Locate, load: Read) -> None:
    with pytest.raises(SettingError, match=r"^unknown language 'xx': known codes: bn, .*--language-file"):
        load("world-mgsm", "test", ["bn", "xx"])


@pytest.mark.parametrize(("name", "role"), IN_ROLES)
def test_a_language_that_the_world_does_not_speak(name: str, role: Role, load: Read) -> None:
    """Telugu is in the table of languages; it is refused before anything is made."""
    if role == "english":
        with pytest.raises(SettingError, match=r"^the role english is in English"):
            load(name, role, ["te"])
    else:
        with pytest.raises(SettingError, match=r"^the world does not speak 'te': add the file .*/te\.py$"):
            load(name, role, ["de", "te"])


# --- the command line -------------------------------------------------------------------------------------------------


def qalign(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("verb", "says"),
    [((), ["show", "write", "base"]), (("show",), ["--languages", "--corpus", "--count"]),
     (("write",), ["--languages", "JSONL"]), (("base",), ["--runs", "--seed", "--processes"])],
)  # fmt: skip
def test_help(verb: tuple[str, ...], says: list[str]) -> None:
    status, out, _ = qalign("world", *verb, "--help")
    assert status == 0
    assert all(words in out for words in says), out


def test_show_prints_problems_in_all_languages() -> None:
    status, out, err = qalign("world", "show", "--count", "2")
    assert (status, err) == (0, "")
    headings = [line for line in out.splitlines() if line.startswith("# ")]
    assert headings == [f"# {story.signature}: {story.answer}" for story in sets.stories("mgsm")[:2]]
    assert [line[:2] for line in out.splitlines() if line[:1].isalpha()] == 2 * list(STUDY)


@pytest.mark.parametrize("name", ["gsm8k", "world-gsm8kinstruct", "world-msvamp", "development"])
def test_show_takes_any_set_of_problems(name: str) -> None:
    status, out, _ = qalign("world", "show", "--corpus", name, "--languages", "sw,en", "--count", "1")
    assert status == 0
    assert len(out.splitlines()) == 1 + 2 * 2


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--corpus", "nonsense"], "'nonsense' is not a set of problems of the world"),
     (["--corpus", "world-text"], "'world-text' is not a set of problems of the world"),
     (["--corpus", "gsm8k@1"], "'gsm8k@1' is not a set of problems of the world"),
     (["--languages", "xx"], "the world does not speak 'xx'"),
     (["--languages", ","], "names no language")],
)  # fmt: skip
def test_show_refuses_in_one_line(words: list[str], says: str) -> None:
    status, out, err = qalign("world", "show", *words)
    assert (status, out) == (2, "")
    assert err.startswith("qalign: error: ")
    assert err.count("\n") == 1
    assert says in err


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, int]]:
    """The world with less of everything, and no published counts. What is kept of the larger one is put away meanwhile."""
    sizes = {
        "metamathqa": 120,
        "flores": 30,
        "mgsm": 60,
        "msvamp": 30,
        "development": 40,
        "development-out": 40,
        "text": 400,
    }
    kept = (sets.stories, sets.large_english_set)
    for cached in kept:
        cached.cache_clear()
    for name in sets.SIZES:
        monkeypatch.setitem(sets.SIZES, name, sizes.get(name, 40))  # type: ignore[arg-type]
    for name, row in WORLD.items():
        monkeypatch.setitem(CORPORA, name, dataclasses.replace(row, published={}))  # type: ignore[arg-type]
    yield sets.SIZES
    for cached in kept:
        cached.cache_clear()


@pytest.fixture
def written(small: Mapping[str, int], tmp_path: Path) -> Path:
    """All corpora of the small world as files."""
    folder = tmp_path / "new" / "written"
    status, out, err = qalign("world", "write", folder)
    assert (status, out) == (0, "")
    assert len(err.splitlines()) == len(IN_ROLES)
    return folder


def test_what_is_written_reads_back_as_own_data(written: Path, load: Read) -> None:
    assert {path.relative_to(written).as_posix() for path in written.rglob("*.*")} == {
        f"{name}/{role}/{code}.jsonl" for name, role in IN_ROLES for code in languages_of(name, role)
    }
    for name, role in IN_ROLES:
        codes = languages_of(name, role)
        made, own = load(name, role, codes), load(written / name / role, role, codes)
        assert own.records == [
            dataclasses.replace(one, source=one.source.replace(name, "own")) for one in made.records
        ], (name, role)
        assert len(own.records) == sets.SIZES[str(WORLD[name].world)] * (1 if role == "text" else len(codes))
        assert (own.published, own.notes, own.dropped) == (None, [], [])


def counts_shown(table: str) -> dict[str, int]:
    """Language -> rows, of the table that `qalign check` prints."""
    rows = re.findall(r"^\W*([a-z]{2,3})\W+([\d,]+)\W", table, re.MULTILINE)
    return {code: int(count.replace(",", "")) for code, count in rows}


def test_what_is_written_passes_the_check(written: Path, small: Mapping[str, int], tmp_path: Path) -> None:
    for name, role in IN_ROLES:
        if role == "text":
            continue
        status, out, err = qalign("check", written / name / role, "--role", role, "--runs", tmp_path)
        assert (status, err) == (0, "")
        codes, size = languages_of(name, role), small[str(WORLD[name].world)]
        assert counts_shown(out) == {**dict.fromkeys(codes, size), "all": size * len(codes)}, (name, role)


def test_text_that_is_written_passes_the_check_in_all_languages(
    written: Path, small: Mapping[str, int], tmp_path: Path
) -> None:
    status, out, err = qalign("check", written / "world-text" / "text", "--role", "text", "--runs", tmp_path)
    assert (status, err) == (0, "")
    shown = counts_shown(out)
    assert set(shown) == {*STUDY, "all"}
    assert shown["all"] == small["text"]


@pytest.mark.usefixtures("small")
def test_some_languages_are_written(tmp_path: Path, load: Read) -> None:
    assert qalign("world", "write", tmp_path, "--languages", "sw,de")[0] == 0
    for name, role in IN_ROLES:
        there = {path.stem for path in (tmp_path / name / role).iterdir()}
        assert there == ({"en"} if role == "english" else {"sw", "de"}), (name, role)
    assert set(load(tmp_path / "world-mgsm/test", "test", ["de", "sw"]).counts.values()) == {sets.SIZES["mgsm"]}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("languages", ["xx", "de,xx", "te"])
def test_a_language_that_cannot_be_written_is_an_error(languages: str, tmp_path: Path) -> None:
    status, _, err = qalign("world", "write", tmp_path / "written", "--languages", languages)
    assert status == 2
    assert err.splitlines()[-1].startswith("qalign: error: ")


@pytest.mark.usefixtures("small")
def test_writing_again_gives_the_same_files(written: Path) -> None:
    before = {path: path.read_bytes() for path in written.rglob("*.jsonl")}
    assert qalign("world", "write", written)[0] == 0
    assert {path: path.read_bytes() for path in written.rglob("*.*")} == before


@pytest.mark.usefixtures("small")
def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, _, err = qalign("world", "write", tmp_path / "file" / "folder")
    assert status == 2
    assert err.startswith("qalign: error: cannot use")
    assert err.count("\n") == 1
