"""The rules of the house: who may import whom, how large a module is, and that the documents speak of what there is."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from qalign.cli import app

REPOSITORY = Path(__file__).parents[1]
SOURCE = REPOSITORY / "src" / "qalign"
MODULES = sorted(SOURCE.rglob("*.py"))
SCRIPTS = [path for folder in ("bench", "docs", "examples") for path in sorted((REPOSITORY / folder).rglob("*.py"))]
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]

# Data flows one way: a folder imports from those before it.
FOLDERS = (
    "pipeline",
    "world",
    "corpora",
    "alignment",
    "models",
    "training",
    "generation",
    "evaluation",
    "results",
    "systems",
)
# What all of them may import; each of these, only what is named beside it.
LEAVES = {
    "paths": {"errors", "untrusted"},
    "languages": {"errors", "paths", "untrusted"},
    "numerals": {"languages"},
    "numbers": {"languages", "errors", "numerals"},
    "records": {"errors", "untrusted"},
    "errors": set(),
    "untrusted": {"errors"},
    "redaction": {"untrusted"},
    "own_code": {"errors"},
    "fingerprints": {"errors", "resources", "terminal"},
    "huggingface": {"errors", "fingerprints", "records", "terminal", "untrusted"},
    "resources": set(),
    "wording": set(),
    "options": {"errors"},
    "placement": {"errors", "options"},
    "progress": {"terminal", "untrusted", "wording"},
    "terminal": {"errors", "redaction", "untrusted"},
}
FACADES = ("__init__", "stages")
"""What users import: names from all folders, and nothing of the package imports it but the version."""
HEAVY = {
    "torch", "transformers", "datasets", "scipy", "matplotlib", "jinja2", "accelerate", "peft", "numpy", "pyarrow",
    "huggingface_hub", "tokenizers", "safetensors",
}  # fmt: skip
LINES = 420


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def part_of(path: Path) -> str:
    """The folder or single file of the package that a module belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """The folders and single files of the package that a module imports, wherever in it."""
    package = ["qalign", *path.relative_to(SOURCE).parts[:-1]]
    found = set()
    for node in ast.walk(tree_of(path)):
        names: list[list[str]] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module or "").split(".")] if node.module else base
            names = [[*module, alias.name] for alias in node.names]
        found |= {name[1] for name in names if name[0] == "qalign" and len(name) > 1 and not name[1].startswith("__")}
    return found - {part_of(path)}


def test_the_reader_of_imports_reads_them() -> None:
    assert {"models", "alignment", "records", "placement"} <= imported_parts(SOURCE / "generation" / "local.py")
    assert {"systems", "errors", "terminal"} <= imported_parts(SOURCE / "cli" / "studies.py")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_what_benchmarks_and_examples_import_is_there(path: Path) -> None:
    """Most of them take too long to run in a test."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "qalign":
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_from_what_stands_before_it(path: Path) -> None:
    part = part_of(path)
    imported = imported_parts(path)
    if part in ("cli", "__main__", *FACADES):
        return
    if part in FOLDERS:
        allowed = {*FOLDERS[: FOLDERS.index(part)], *LEAVES}
    else:
        allowed = LEAVES[part]  # a new single file at the top is named above, with what it may import
    assert imported <= allowed


def test_the_command_line_runs_nothing_itself() -> None:
    """What it does can be done from Python: it knows studies, tables and names, and nothing of stages and models."""
    imported = set().union(*(imported_parts(path) for path in (SOURCE / "cli").glob("*.py")))
    assert imported & set(FOLDERS) <= {"systems", "results", "corpora", "evaluation", "world"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_one_idea(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines < LINES, "make two modules of it"
    assert path.stem not in ("utils", "util", "common", "helpers", "helper", "misc", "tools")
    assert not re.search(r"^\s*(?:global\s|from \S+ import \*)", path.read_text(encoding="utf-8"), re.MULTILINE)


def public_definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Functions and classes that others may use, and the methods of such classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                        yield f"{node.name}.{inner.name}", inner


def is_obvious_property(node: ast.AST) -> bool:
    """A property of one line says what it is."""
    decorators = [d.id for d in getattr(node, "decorator_list", []) if isinstance(d, ast.Name)]
    return "property" in decorators and len(getattr(node, "body", [])) == 1


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_what_is_public_is_documented(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree), "a file opens with what it is for"
    bare = [
        name
        for name, node in public_definitions(tree)
        if not ast.get_docstring(node) and not is_obvious_property(node)  # type: ignore[arg-type]
    ]
    assert bare == []


def top_level_imports(tree: ast.Module) -> Iterator[str]:
    """The names of packages that are imported when the module is, those under TYPE_CHECKING left out."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_heavy_imports_stand_inside_functions(path: Path) -> None:
    assert not HEAVY & set(top_level_imports(tree_of(path)))


# --- documents --------------------------------------------------------------------------------------------------------


def code_blocks(document: Path) -> list[str]:
    return re.findall(r"^ *```[^\n]*\n(.*?)^ *```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def shown_tree() -> dict[str, set[str]]:
    """The tree of files in CONTRIBUTING: folder ("" for the top) -> names in it."""
    blocks = [block for block in code_blocks(REPOSITORY / "CONTRIBUTING.md") if block.startswith("src/qalign/")]
    assert len(blocks) == 1, (
        "CONTRIBUTING.md shows the tree of src/qalign/ in one fenced block that begins with that line"
    )
    tree: dict[str, set[str]] = {"": set()}
    folder, depth = "", 0
    for line in blocks[0].splitlines()[1:]:
        match = re.match(r"( +)(\S+)", line)
        if match is None:
            break  # what stands beside src/
        indent, name = len(match[1]), match[2]
        depth = depth or indent
        if indent == depth:
            folder = name.rstrip("/") if name.endswith("/") else ""
            if folder:
                tree[folder] = set()
            else:
                tree[""].add(name)
        elif name.endswith(".py"):
            assert folder, f"{name} stands under no folder"
            tree[folder].add(name)
    return tree


def test_the_tree_in_contributing_is_the_tree() -> None:
    real: dict[str, set[str]] = {"": {path.name for path in SOURCE.glob("*.py")}}
    for folder in (*FOLDERS, "cli"):
        real[folder] = {path.name for path in (SOURCE / folder).glob("*.py")}
    assert {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()} == {*FOLDERS, "cli"}
    shown = shown_tree()
    not_shown = {"__init__.py", "__main__.py"}  # may be shown at the top
    assert {name: files - not_shown for name, files in shown.items()} == {
        name: files - not_shown for name, files in real.items()
    }


def commands() -> dict[str, set[str]]:
    """The verbs of the command line, each with its options."""
    group = typer.main.get_command(app)
    return {
        name: {
            option
            for one in (verb, *getattr(verb, "commands", {}).values())  # `world` has verbs of its own
            for parameter in one.params
            for option in (*parameter.opts, *parameter.secondary_opts)
            if option.startswith("--")
        }
        | {"--help"}
        for name, verb in group.commands.items()  # type: ignore[attr-defined]
    }


def shell_lines(block: str) -> list[str]:
    """The lines of a block of commands, continued ones joined, comments taken off."""
    joined = re.sub(r"\\\n\s*", " ", block)
    return [re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines()]


def spoken(document: Path) -> list[str]:
    """All commands in a document: lines of code blocks, and code within sentences."""
    text = document.read_text(encoding="utf-8")
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in code_blocks(document) for line in shell_lines(block)]
    return [*lines, *(" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose))]


def words_of(command: str) -> list[str]:
    try:
        return shlex.split(command)  # what stands in quotes is one word
    except ValueError:
        return command.split()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_the_commands_in_the_documents_exist(document: Path) -> None:
    known = commands()
    every_option = set().union(*known.values()) | {"--version"}
    for said in spoken(document):
        call = re.match(r"(?:\$ )?(?:\S*/)?qalign\s+(\S.*)$", said)
        if call:
            verb, *words = words_of(call[1])
            if not verb.startswith("-"):
                assert verb in known, f"{document.name}: `{said}`"
            options = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert options <= known.get(verb, every_option), f"{document.name}: `{said}`"
        elif re.match(r"--[a-z]", said):
            assert said.split()[0].partition("=")[0] in every_option, f"{document.name}: `{said}`"


def targets() -> set[str]:
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", text, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_the_make_targets_in_the_documents_exist(document: Path) -> None:
    for said in spoken(document):
        if match := re.match(r"make ((?:[a-z][\w-]*(?:\s+|$))+)", said):
            assert set(match[1].split()) <= targets(), f"{document.name}: `{said}`"


def test_the_documents_speak_of_the_verbs_and_targets() -> None:
    """The tests above would pass on documents that say nothing."""
    readme = "\n".join(spoken(REPOSITORY / "README.md"))
    everything = "\n".join(line for document in DOCUMENTS for line in spoken(document))
    for verb in commands():
        assert re.search(rf"qalign\s+{verb}\b", everything), f"no document shows `qalign {verb}`"
    for target in ("demo", "test"):
        assert re.search(rf"make {target}\b", readme), f"README.md does not show `make {target}`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_the_files_that_documents_link_to_exist(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (document.parent / link).exists(), f"{document.name}: {link}"


# --- words ------------------------------------------------------------------------------------------------------------

# Words that a reader of the transformers documentation would not know, and the words for them.
GLOSSARY = {
    r"\bbeside\b": "versus, next to",
    r"\bthereby\b": "leave it out",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bcut off\b|\bto cut\b|, cut\b|\d cut\b": "truncated",
    r"\bshards\b(?<!FSDP shards)": "FSDP shards",
    r"\boptimizers? of 8 bits\b|\bmoments\b": "8-bit optimizer states",
    r"\bthe frame\b": "prompt prefix",
    r"(?<!there )\bis no [a-zA-Z\[{]": "is not a",
    r"\bis not given\b|\bgiven stage": "external",
    r"\bIt is said\b|\bits like\b|\bso many as\b": "say it plainly",
    r"\b1 (languages|problems|systems|rows|examples)\b": "a singular",
}
WORLD_LANGUAGES = SOURCE / "world" / "languages"


def shown_texts(path: Path) -> Iterator[str]:
    """The text literals of a module that are no docstrings, each f-string in one piece with {} for its values."""
    tree = tree_of(path)
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    inner |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and (id(node) not in inner or node.values):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value


def test_the_reader_of_texts_reads_them(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        '"""beside"""\ndef f(x):\n    """mended"""\n    return f"{x!r} is no {x}" "; mend it", "cut off"\n'
    )
    assert list(shown_texts(module)) == ["{} is no {}; mend it", "cut off"]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_messages_use_the_words_of_the_field(path: Path) -> None:
    if WORLD_LANGUAGES in path.parents:
        return  # what the world's problems say
    odd = {
        f"{text[:80]!r}: say {word}"
        for text in shown_texts(path)
        for pattern, word in GLOSSARY.items()
        if re.search(pattern, text)
    }
    assert odd == set()


@pytest.mark.parametrize("name", ["page.html.jinja", "page.js"])
def test_the_page_uses_the_words_of_the_field(name: str) -> None:
    text = (SOURCE / "results" / name).read_text(encoding="utf-8")
    shown = re.sub(r"^\s*//.*$|\{#.*?#\}", "", text, flags=re.MULTILINE | re.DOTALL)
    assert [word for pattern, word in GLOSSARY.items() if re.search(pattern, shown)] == []


# --- parameters -------------------------------------------------------------------------------------------------------

PARAMETERS = 10
"""A function takes fewer."""


def parameters_of(path: Path) -> Iterator[tuple[str, int]]:
    """Each function and method of a module with the number of its parameters."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            yield getattr(node, "name", "lambda"), sum(one is not None for one in every)


def test_the_reader_of_parameters_reads_them(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("class A:\n    def f(self, a, /, b, *c, d=1, **e): return lambda x: x\n", encoding="utf-8")
    assert list(parameters_of(module)) == [("f", 6), ("lambda", 1)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_takes_few_parameters(path: Path) -> None:
    assert [name for name, count in parameters_of(path) if count >= PARAMETERS] == []


# --- values -----------------------------------------------------------------------------------------------------------

ROWS = {"System", "Device", "Claim", "Corpus", "Hub", "Benchmark", "Variant", "Finding", "Table", "Text"}
"""The rows of literal tables, which are read by column, and tables with their title, columns and rows."""
FIELDS = 3
"""A value with more is built by keyword."""
BY_PLACE = ("world", "results")
"""The folders whose own values may be built by place."""


def values_of_many_fields(path: Path) -> set[str]:
    """The dataclasses and structs of a module that have many fields."""
    found = set()
    for node in tree_of(path).body:
        if isinstance(node, ast.ClassDef):
            marks = " ".join(map(ast.unparse, [*node.decorator_list, *node.bases]))
            fields = [one for one in node.body if isinstance(one, ast.AnnAssign) and "ClassVar" not in ast.unparse(one)]
            if re.search(r"dataclass|Struct", marks) and len(fields) > FIELDS:
                found.add(node.name)
    return found


def built_by_place(path: Path, names: set[str]) -> Iterator[str]:
    """The calls of a module that build one of the values without naming its fields."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and node.args and not any(isinstance(one, ast.Starred) for one in node.args):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name in names:
                yield f"line {node.lineno}: {name}"


def test_the_reader_of_values_reads_them(tmp_path: Path) -> None:
    fields = "".join(f"    f{number}: int\n" for number in range(4))
    heads = ("@dataclass(frozen=True)\nclass A:", "class B(msgspec.Struct):", "class C:")
    calls = "A(1, f1=2)\nB(f0=1)\nB(*rows)\nC(1)\n"
    module = tmp_path / "module.py"
    module.write_text("\n".join(f"{head}\n{fields}" for head in heads) + calls, encoding="utf-8")
    assert values_of_many_fields(module) == {"A", "B"}
    assert list(built_by_place(module, {"A", "B"})) == ["line 19: A"]


MANY_FIELDS = set().union(*(values_of_many_fields(path) for path in MODULES if part_of(path) not in BY_PLACE)) - ROWS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_value_of_many_fields_is_built_by_keyword(path: Path) -> None:
    assert part_of(path) in BY_PLACE or list(built_by_place(path, MANY_FIELDS)) == []
