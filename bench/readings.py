"""Which published answers the strict rule reads differently than recorded, and the accuracy by language.

    python bench/readings.py --data FOLDER [--record]

FOLDER is the folder of real data (`generations/mcot7b` in it). The record, `bench/results/readings.json`, holds four
hexadecimal digits of a hash for each answer's reading: enough to see that it changed, and nothing of the data. A
changed reading is listed with what it is now and the end of its text; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
from pathlib import Path

from qalign.evaluation.extraction import RULES_VERSION, strict
from qalign.languages import LANGUAGES

RECORD = Path(__file__).parent / "results" / "readings.json"


def main() -> int:
    """Reads all published answers and compares, or records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--record", action="store_true", help="take the readings of today as the record")
    options = parser.parse_args()
    recorded = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {"files": {}}
    files: dict[str, str] = {}
    right: dict[str, list[int]] = {}
    changed = 0
    for path in sorted((options.data / "generations" / "mcot7b").glob("*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        before = recorded["files"].get(name, "")
        digests = []
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for index, row in enumerate(map(json.loads, file)):
                reading = strict(row["response"], row["gold"], LANGUAGES[name[-2:]], "stop")
                counts = right.setdefault(name[-2:], [0, 0])
                counts[0] += reading.right
                counts[1] += 1
                digest = hashlib.sha256(f"{name} {row['id']} {reading.value} {reading.right}".encode()).hexdigest()[:4]
                digests.append(digest)
                if before and before[4 * index : 4 * index + 4] != digest:
                    changed += 1
                    verdict = "right" if reading.right else "wrong"
                    print(
                        f"{name} {row['id']}: gold {row['gold']}, now {reading.value} ({verdict}): ...{row['response'][-100:]!r}"
                    )
        files[name] = "".join(digests)
    for code, (correct, total) in right.items():
        print(f"{code}: {correct} of {total} right ({100 * correct / total:.2f}%)")
    print(
        f"{changed} readings differ from the record (rules version {recorded.get('rules_version')}, now {RULES_VERSION})"
    )
    if options.record:
        RECORD.write_text(
            json.dumps({"rules_version": RULES_VERSION, "files": files}, indent=1) + "\n", encoding="utf-8"
        )
        return 0
    return 1 if changed or not recorded["files"] else 0


if __name__ == "__main__":
    sys.exit(main())
