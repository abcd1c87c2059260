"""Rows of a file: JSONL, CSV (both plain or gzip) and Parquet, each row with the place it stands at.

The place is `FILE line N`, or `FILE row N` in Parquet, counted from 1. Nothing is skipped: what cannot be read is an
error that names the place.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError

SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")

INSTALL = "install what reads it: pip install 'qalign[data]'"

Row = dict[str, Any]


def suffix(path: Path) -> str | None:
    """The ending by which a file is read, or None if it has none of ours."""
    return next((ending for ending in SUFFIXES if path.name.endswith(ending)), None)


def rows(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a file, each with its place.

    Raises:
        DataError: the file is missing, empty, broken, not UTF-8, or of an unknown kind; a row is no object.
    """
    ending = suffix(path)
    if ending is None:
        raise DataError(f"{path} is of no known kind: it must end in one of {', '.join(SUFFIXES)}")
    reader = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}[ending.removesuffix(".gz")]
    count = 0
    for count, row in enumerate(reader(path), start=1):  # noqa: B007 - the count is used after the loop
        yield row
    if count == 0:
        raise DataError(f"{path} is empty: it holds no row; give a file with one row for each text")


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a text file, without their ends, each with its place.

    Raises:
        DataError: the file is missing or broken, or a line is not UTF-8.
    """
    check_exists(path)
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            # Only \n ends a line: text may hold the other characters that Unicode counts as line ends.
            for number, line in enumerate(file, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield f"{path} line {number}", text.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} line {number} is not UTF-8 ({error.reason}): save the file as UTF-8") from error
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} cannot be read after line {number}: {one_line(error)}; fetch it again") from error


def check_exists(path: Path) -> None:
    """Raises DataError if there is no file at `path`."""
    if path.is_dir():
        raise DataError(f"{path} is a folder: give a file")
    if not path.is_file():
        raise DataError(f"there is no file {path}: check the path")


def one_line(error: BaseException) -> str:
    """What an exception says, on one line and not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def _jsonl(path: Path) -> Iterator[tuple[str, Row]]:
    for where, line in lines(path):
        if not line.strip():
            raise DataError(f"{where} is empty: remove it, each line must hold one JSON object")
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} is no JSON: {one_line(error)}; mend the line") from error
        if not isinstance(row, dict):
            raise DataError(f"{where} holds a JSON {type(row).__name__}: it must be an object, {{column: value}}")
        yield where, row


def _csv(path: Path) -> Iterator[tuple[str, Row]]:
    # The csv module wants the line ends back, to keep those inside quotes.
    reader = csv.reader((line + "\n" for _, line in lines(path)), strict=True)
    start = 1
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise DataError(f"{path} line 1 names a column twice: {', '.join(header)}; give each its own name")
        start = reader.line_num + 1
        for cells in reader:
            where, start = f"{path} line {start}", reader.line_num + 1
            if len(cells) != len(header):
                raise DataError(
                    f"{where} has {len(cells)} cells, the header has {len(header)}: quote cells that hold commas"
                )
            yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{path} line {start} is no CSV: {one_line(error)}; mend the line") from error


def _parquet(path: Path) -> Iterator[tuple[str, Row]]:
    check_exists(path)
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f"{path}: to read Parquet, {INSTALL}") from error
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path} row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read after row {number}: {one_line(error)}; write it again") from error
