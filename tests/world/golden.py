"""The bytes of the world's corpora as hashes, in `golden.json`. Needs a Python and the package's source, and nothing else:

python tests/world/golden.py            compares with golden.json (on another machine, with another Python)
python tests/world/golden.py --write    writes it, once `VERSION` in sets.py has been counted up
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

FILE = Path(__file__).with_name("golden.json")
REPOSITORY = Path(__file__).parents[2]
SCRIPT = "python tests/world/golden.py --write"
WHOLE_TEXT, FIRST_OF_TEXT = "text", "text, the first 2,000"
LARGE = ("metamathqa", "mathinstruct", WHOLE_TEXT)
"""What takes longer than a few seconds to make."""


def hashes(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The hash of each set: of all its rows in all its roles and languages, a line each."""
    for name in names:
        total = hashlib.sha256()
        for line in _lines(name):
            total.update(line.encode())
        yield name, total.hexdigest()


def known_sets() -> list[str]:
    """All sets of the world, the base's text twice."""
    from qalign.world.sets import SIZES

    return [*SIZES, FIRST_OF_TEXT]


def read() -> tuple[int, Mapping[str, str]]:
    """The version that the hashes are of, and the hashes."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return content["version"], content["sha256"]


def _lines(name: str) -> Iterator[str]:
    from qalign.corpora import CORPORA
    from qalign.world import rows

    corpus = CORPORA[f"world-{'text' if name == FIRST_OF_TEXT else name}"]
    assert corpus.world is not None
    for role in corpus.roles:
        beside_english = [code for code in corpus.languages if code != "en"]
        languages = {"english": ["en"], "questions": beside_english, "answers": beside_english}
        made = rows(corpus.world, role, languages.get(role, corpus.languages))
        for code, row in islice(made, 2_000) if name == FIRST_OF_TEXT else made:
            yield json.dumps([role, code, row], ensure_ascii=False, sort_keys=True) + "\n"


def _main() -> None:
    from qalign.world import VERSION

    made = {}
    for name, found in hashes(known_sets()):
        made[name] = found
        print(f"{found[:16]}  {name}", flush=True)
    version, known = read() if FILE.exists() else (None, made)
    if sys.argv[1:] == ["--write"]:
        if version == VERSION and made != known:
            sys.exit(
                f"The bytes are not those of version {VERSION}: count VERSION up in sets.py first; or, if nobody has made "
                f"anything with that version yet, remove {FILE.name}."
            )
        FILE.write_text(json.dumps({"version": VERSION, "sha256": made}, indent=2) + "\n", encoding="utf-8")
    elif (VERSION, made) != (version, known):
        sys.exit(f"Not as in golden.json: {', '.join(name for name in made if made[name] != known.get(name))}")
    else:
        print(f"Python {sys.version.split()[0]}: the same bytes as in golden.json")


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY / "src"))
    _main()
