"""Rows of a file with their places: JSONL or CSV, plain or gzip, and Parquet.

A place is `FILE line N`, or `FILE row N` in Parquet, counted from 1. Nothing is skipped: an unreadable row is an error that
names its place. Lines and cells have a maximum size, so a small gzip file cannot fill the memory.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..paths import instead
from ..untrusted import one_line, parse_json, printable
from ..wording import counted

SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")
LONGEST_LINE = 64 * 2**20
"""The most bytes of a line, and characters of a CSV cell: a hundred thinking traces of 100,000 words."""
_OTHER_KINDS = (
    *((mark, "UTF-32: save the file as UTF-8") for mark in (b"\xff\xfe\0\0", b"\0\0\xfe\xff")),
    *((mark, "UTF-16: save the file as UTF-8") for mark in (b"\xff\xfe", b"\xfe\xff")),
    (b"\x1f\x8b", "gzip: let its name end in .gz"),
    (b"PAR1", "Parquet: let its name end in .parquet"),
    (b"PK\x03\x04", "a zip archive or an Excel file: unpack it, or save it as CSV"),
)
"""The first bytes of files that are no text, and what to do about them."""
_OTHER_ENDINGS = {
    ".tsv": "save it with commas in place of tabs, as .csv", ".json": "write one object a line, as .jsonl",
    **dict.fromkeys((".xls", ".xlsx", ".ods"), "save the sheet as CSV in UTF-8"),
}  # fmt: skip
"""Endings of files that are not read, and what to do about them."""
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
PARQUET_ROWS = 4096
"""Rows of a Parquet file in memory at once."""
INSTALL = "install what reads it: pip install 'qalign[data]'"

_HAS_HEADER = re.compile(r"(.*\.csv(?:\.gz)?) line \d+|(.*\.parquet) row \d+", re.DOTALL)

Row = dict[str, Any]


def suffix(path: Path) -> str | None:
    """The file ending, or None if it is not supported."""
    return next((ending for ending in SUFFIXES if path.name.endswith(ending)), None)


def rows(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a file, each with its place. Raises DataError if the file or a row is not usable."""
    ending = suffix(path)
    if ending is None:
        advice = _OTHER_ENDINGS.get(path.suffix.lower())
        known = f"it must end in one of {', '.join(SUFFIXES)}{f'; {advice}' if advice else ''}"
        raise DataError(f"{path} is of no known kind: {known}")
    reader = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}[ending.removesuffix(".gz")]
    count = 0
    for count, row in enumerate(reader(path), start=1):  # noqa: B007 - the count is used after the loop
        yield row
    if count == 0:
        raise DataError(f"{path} is empty: it holds no row; give a file with one row for each text")


def place_of_names(where: str) -> str:
    """The place that names the columns of a row: a CSV header, a Parquet file, or the row itself in JSONL."""
    table = _HAS_HEADER.fullmatch(where)
    return where if table is None else table[2] or f"{table[1]} line 1 (the header)"


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a text file, without line ends, each with its place. Raises DataError if one is no valid text."""
    check_exists(path)
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            # Only \n ends a line: text may hold the other characters that Unicode counts as line ends.
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                where = f"{path} line {number}"
                if len(line) > LONGEST_LINE:
                    raise DataError(f"{where} is longer than {LONGEST_LINE // 2**20} MiB; write one row a line")
                for mark, kind in _OTHER_KINDS if number == 1 else ():
                    if line.startswith(mark):
                        raise DataError(f"{path} is {kind}")
                if b"\0" in line:
                    raise DataError(f"{where} holds a NUL byte; save the file as UTF-8 text (is it UTF-16, or binary?)")
                yield where, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} line {number} is not UTF-8 ({error.reason}); save the file as UTF-8") from error
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} cannot be read after line {number}: {one_line(error)}; fetch it again") from error


def check_exists(path: Path) -> None:
    """Raises DataError if a path is not a file."""
    if path.is_dir():
        raise DataError(f"{path} is a folder: give a file")
    if not path.is_file():
        raise DataError(f"there is no file {path}: {instead(path, 'check the path')}")


def _jsonl(path: Path) -> Iterator[tuple[str, Row]]:
    for where, line in lines(path):
        if not line.strip():
            raise DataError(f"{where} is empty: remove it, each line must hold one JSON object")
        row = parse_json(line, where)
        if not isinstance(row, dict):
            raise DataError(f"{where} holds a JSON {type(row).__name__}: it must be an object, {{column: value}}")
        yield where, row


def _csv(path: Path) -> Iterator[tuple[str, Row]]:
    csv.field_size_limit(LONGEST_LINE)  # Python's own limit, 131,072 characters, is shorter than some answers.
    # The csv module wants the line ends back, to keep those inside quotes.
    reader = csv.reader((line + "\n" for _, line in lines(path)), strict=True)
    start = 1
    try:
        header = next(reader, None)
        if header is None:
            return
        _check_header(header, f"{path} line 1")
        start = reader.line_num + 1
        for cells in reader:
            where, start = f"{path} line {start}", reader.line_num + 1
            if len(cells) != len(header):
                has = f"has {counted(len(cells), 'cell')}, the header has {len(header)}" if cells else "is empty"
                raise DataError(f"{where} {has}: {'quote cells that hold commas' if cells else 'remove the line'}")
            yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        what = "it holds a carriage return outside quotes" if "new-line character" in str(error) else one_line(error)
        raise DataError(f"{path} line {start} is not a CSV: {what}; fix the line") from error


def _check_header(header: list[str], where: str) -> None:
    """Raises DataError if the first line of a CSV file does not name each column once, separated by commas."""
    if not any(map(str.strip, header)):
        raise DataError(f"{where} is empty: it must name the columns")
    for separator, name in _OTHER_SEPARATORS.items():
        if ",".join(header).count(separator) >= len(header):
            raise DataError(f"{where}: the cells are separated by {name}; save the file with commas between them")
    for place, name in enumerate(header, start=1):
        if not name.strip():
            raise DataError(f"{where}: column {place} has no name; name it, or remove it (pandas writes its index so)")
        if printable(name.strip()) != name:
            shown = printable(name[:80])
            raise DataError(
                f"{where}: column {place} is named '{shown}'; take white space and invisible characters away"
            )
    _check_names(header, where)


def _check_names(names: list[str], where: str) -> None:
    if len(set(names)) < len(names):
        raise DataError(f"{where} names a column twice: {', '.join(map(printable, names))}; give each its own name")


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
            _check_names(file.schema_arrow.names, str(path))
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for row in _values(batch):
                    number += 1
                    yield f"{path} row {number}", row
    except UnicodeDecodeError as error:
        raise DataError(f"{path} row {number + 1} is not UTF-8 ({error.reason}): write the text as UTF-8") from error
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, TypeError, KeyError) as error:
        raise DataError(f"{path} cannot be read after row {number}: {one_line(error)}; write it again") from error


def _values(batch: Any) -> Iterator[Row]:
    """The rows of a batch up to the first unreadable one, 32-bit floats as written: 0.1, not 0.10000000149."""
    import pyarrow

    for place, field in enumerate(batch.schema):
        if field.type == pyarrow.float32():
            numbers = batch.column(place).cast(pyarrow.string()).cast(pyarrow.float64())
            batch = batch.set_column(place, field.name, numbers)
    rows: Iterable[Row]
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):
        rows = (batch.slice(place, 1).to_pylist()[0] for place in range(len(batch)))
    yield from rows
