"""The documents as a whole: links, navigation, facts that stand in two places, and how they read."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from prose import faults, paragraphs, sentences
from qalign.cli import app
from qalign.languages import LANGUAGES, STUDY
from qalign.systems.doctor import EXTRAS
from qalign.systems.table import SYSTEMS
from test_house_rules import LINES, REPOSITORY, SOURCE, code_blocks, shell_lines, targets

DOCS = REPOSITORY / "docs"
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
DOCUMENTS = [*(REPOSITORY / name for name in TOP), *sorted(DOCS.rglob("*.md"))]
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def name_of(document: Path) -> str:
    return document.relative_to(REPOSITORY).as_posix()


def without_code(document: Path) -> str:
    return re.sub(r"^ *```.*?^ *```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ +(.*?)\s*$", without_code(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", without_code(document)):
        if "://" in link or link.startswith("mailto:"):
            continue
        target = document.parent / link if link else document
        assert target.is_file(), f"{link}: no such file (a link to a folder leads nowhere on the site)"
        if anchor:
            assert anchor in anchors(target), f"{link}#{anchor}: no such heading"


# --- the site ---------------------------------------------------------------------------------------------------------


def navigation(entries: list[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values():
            yield from navigation(value) if isinstance(value, list) else [value]


def in_navigation() -> list[str]:
    return list(navigation(tomllib.loads((REPOSITORY / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]))


def test_every_document_is_in_the_navigation_once() -> None:
    documents = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    top = {f"repository/{name}" for name in TOP if name != "README.md"}  # index.md is the site's front page
    assert sorted(in_navigation()) == sorted(documents | top)


def test_the_sources_of_the_site_hold_what_they_link_to(tmp_path: Path) -> None:
    subprocess.run([sys.executable, DOCS / "site.py", tmp_path / "sources"], check=True)
    pages = sorted((tmp_path / "sources").rglob("*.md"))
    assert {"index.md", "repository/SECURITY.md"} <= {
        page.relative_to(tmp_path / "sources").as_posix() for page in pages
    }
    for page in pages:
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", without_code(page)):
            if "://" not in link and not link.startswith("mailto:"):
                target = (page.parent / link).resolve()
                assert target.is_file() and target.is_relative_to(tmp_path), f"{page.name}: {link}"


@pytest.mark.skipif(not importlib.util.find_spec("zensical"), reason="the site's generator comes with `make docs`")
def test_the_site_asks_nothing_of_the_network_and_refuses_broken_links(tmp_path: Path) -> None:
    sources, site = tmp_path / "build" / "site-source", tmp_path / "build" / "site"
    subprocess.run([sys.executable, DOCS / "site.py", sources], check=True)
    (tmp_path / "zensical.toml").write_bytes((REPOSITORY / "zensical.toml").read_bytes())
    build = [Path(sys.executable).parent / "zensical", "build", "--clean", "--strict"]
    subprocess.run(build, check=True, cwd=tmp_path)
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]*\ssrc=\"?(?:https?:)?//|<link[^>]*(?:stylesheet|preconnect)[^>]*//"
    )
    for name in in_navigation():
        page = (site / name).with_suffix(".html").read_text(encoding="utf-8")
        assert not loaded.search(page), name
    with (sources / "index.md").open("a", encoding="utf-8") as file:
        file.write("\n[no such heading](install.md#nothing)\n")
    assert subprocess.run(build, cwd=tmp_path, capture_output=True).returncode != 0


# --- facts that stand in one place ------------------------------------------------------------------------------------


def rows(document: Path, head: str) -> list[list[str]]:
    """The rows of the tables whose head begins with a word."""
    found = re.findall(
        rf"^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", document.read_text(encoding="utf-8"), re.MULTILINE
    )
    return [[cell.strip() for cell in line.strip("|").split("|")] for table in found for line in table.splitlines()]


def test_the_extras_of_install_are_those_of_the_package() -> None:
    extras = [cells[0].strip("`") for cells in rows(DOCS / "install.md", "extra")]
    assert sorted(extras) == sorted(PYPROJECT["project"]["optional-dependencies"])


def test_install_names_the_oldest_python_that_the_package_allows() -> None:
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    assert f"Python {oldest} or newer" in (DOCS / "install.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", ["docs/method.md", "CONTRIBUTING.md"])
def test_what_a_document_names_exists(document: str) -> None:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+)\.py`((?:: `[\w.]+`(?:, `[\w.]+`)*)?)", text)
    assert len(named) > 10
    for path, names in named:
        if path.startswith("tests/"):
            continue
        assert (SOURCE / f"{path}.py").is_file(), path
        module = importlib.import_module(f"qalign.{path.replace('/', '.')}")
        for name in re.findall(r"`([\w.]+)`", names):
            value: Any = module
            for part in name.split("."):
                assert hasattr(value, part), f"{path}.py has no {name}"
                value = getattr(value, part)


def test_method_has_each_system_with_its_recipe() -> None:
    table = {cells[0].strip("`"): cells[2].strip("`") for cells in rows(DOCS / "method.md", "system")}
    assert table == {name: recipe_in_words(system.recipe) for name, system in SYSTEMS.items()}


def recipe_in_words(recipe: Callable[..., object]) -> str:
    """The name of a recipe, with the variant that a row of the table fixes."""
    if isinstance(recipe, partial):
        return f"{recipe.func.__name__}({', '.join(recipe.keywords.values())})"
    return recipe.__name__


@pytest.mark.parametrize("document", ["docs/method.md", "docs/design.md", "SECURITY.md", "CONTRIBUTING.md"])
def test_the_files_that_a_document_names_exist(document: str) -> None:
    named = re.findall(r"`((?:\w+/)+\w+(?:\.\w+)?|\w+\.py)`", (REPOSITORY / document).read_text(encoding="utf-8"))
    assert len(named) > 5
    for path in named:
        assert (SOURCE / path).exists() or (REPOSITORY / path).exists() or path.startswith("build/"), path


def test_method_names_the_languages_of_the_study() -> None:
    named = re.search(r"The study has nine: (.*?)\.", (DOCS / "method.md").read_text(encoding="utf-8"), re.DOTALL)
    assert named is not None
    assert re.split(r",? and |, ", " ".join(named[1].split())) == [
        LANGUAGES[code].name for code in STUDY if code != "en"
    ]


def test_doctor_looks_at_the_extras_that_a_study_may_need() -> None:
    extras = {cells[0].strip("`") for cells in rows(DOCS / "install.md", "extra")}
    assert set(EXTRAS) == extras - {"all", "bench", "dev", "docs"}


def test_the_front_page_leads_to_every_document() -> None:
    linked = set(re.findall(r"\]\(([^)#\s]+)", (DOCS / "index.md").read_text(encoding="utf-8")))
    assert {name for name in in_navigation() if "/" not in name} - {"index.md"} <= linked


FIGURES = re.compile(r"^\| (\w+)[^|\n]*\| (\d+\.\d / \d+\.\d) \| (\d+\.\d / \d+\.\d) \|$", re.MULTILINE)
"""A row of the demo's table: the system, in domain, out of domain."""


def test_the_figures_of_the_demo_stand_in_readme_and_reproduction_alone() -> None:
    figures = {name_of(document): FIGURES.findall(document.read_text(encoding="utf-8")) for document in DOCUMENTS}
    assert [row[0] for row in figures["README.md"]] == ["MonoReason", "MultiReason", "QAlign"]
    assert set(figures["README.md"]) <= set(figures["docs/reproduction.md"])
    others = {name for name, found in figures.items() if found} - {"README.md", "docs/reproduction.md"}
    assert {name for name in others if not name.startswith("docs/dev/")} == set()  # a log holds what was tried


def test_what_readme_says_about_a_7b_is_what_plan_says(tmp_path: Path) -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    command = next(
        line for line in shell_lines("\n".join(code_blocks(REPOSITORY / "README.md"))) if "qalign plan" in line
    )
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), "--runs", tmp_path],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=120,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub"), "COLUMNS": "120"},
    )  # fmt: skip
    planned = dict(re.findall(r"^([a-z]\S*(?: \S+)*?) {2,}(\S+ \S+) *$", done.stdout, re.MULTILINE))
    memory = re.search(r"It fits: (\S+) GiB of (\S+) GiB", done.stdout)
    said = re.search(
        r"it says: (\S+) of (\S+) GiB on each device, (\S+) hours of training and (\S+) minutes of answering\. "
        r"The disk needs (\S+) GiB at the peak, and (\S+) GiB stay\. The hub sends (\S+) GiB for the model",
        " ".join(text.split()),
    )
    assert memory and said, done.stdout + done.stderr
    assert [float(figure) for figure in said.groups()] == [
        round(float(memory[1])),
        float(memory[2]),
        _number(planned["training time"], "h"),
        _number(planned["answering time"], "min"),
        round(_number(planned["disk at the peak"], "GiB")),
        round(_number(planned["disk that stays"], "GiB")),
        _number(planned["fetch meta-llama/Llama-2-7b-hf"], "GiB"),
    ]


def _number(text: str, unit: str) -> float:
    assert text.endswith(f" {unit}"), text
    return float(text.removesuffix(f" {unit}"))


def test_contributing_says_how_long_a_module_may_be() -> None:
    assert f"fewer than {LINES} lines" in (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_contributing_lists_each_target_of_make() -> None:
    listed = {cells[0].strip("`").removeprefix("make ") for cells in rows(REPOSITORY / "CONTRIBUTING.md", "target")}
    assert listed == targets()


def test_the_changelog_tells_effects_on_scores_first() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert versions[0].startswith("[Unreleased]\n")
    known = ["Scores", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for version in versions:
        kinds = re.findall(r"^### (.+)$", version, re.MULTILINE)
        assert kinds == [kind for kind in known if kind in kinds] and kinds, version.splitlines()[0]
    assert re.fullmatch(r"\[Unreleased\]|\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", versions[-1].splitlines()[0])


FORMS = sorted(path for path in (REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_one_that_github_shows(form: Path) -> None:
    fields = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= fields.keys()
    asked = [field for field in fields["body"] if field["type"] != "markdown"]
    assert asked and {field["type"] for field in asked} <= {"textarea", "input", "dropdown", "checkboxes"}
    assert len({field["id"] for field in asked}) == len(asked)
    assert all(field["attributes"]["label"] for field in asked)
    assert any(field.get("validations", {}).get("required") for field in asked)


# --- how they read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_a_document_reads_easily(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert faults([sentence for part in paragraphs(text) for sentence in sentences(part)]) == []


def test_the_help_reads_easily() -> None:
    waiting: list[Any] = [typer.main.get_command(app)]
    texts: list[str] = []
    while waiting:
        verb = waiting.pop()
        waiting += getattr(verb, "commands", {}).values()
        texts += (verb.help or "").split("\n\n")
        texts += [parameter.help for parameter in verb.params if getattr(parameter, "help", None)]
    assert len(texts) > 100
    assert faults([sentence for text in texts for sentence in sentences(" ".join(text.split()))]) == []


def test_hard_prose_is_told() -> None:
    long = "word " * 41 + "end."
    assert faults(sentences(long)) != []
    assert faults(sentences("One (two); three four (five).")) != []
    assert faults(sentences("This says one thing. It says another one.")) == []
    assert paragraphs("# Title\n\n| a; b |\n|---|\n\n```\ncode; code\n```\n- one\n- [two](x.md)\n") == ["one", "two"]
