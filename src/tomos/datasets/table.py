"""CSV tables as people have them, read so that every cell can be named by file, line and column.

Read: RFC 4180, and what spreadsheets make of it: a byte-order mark, `;` or tab between cells, a
`sep=;` line, UTF-16 ("Unicode text"), GB 18030 (Chinese Excel), empty lines, trailing empty cells.
Written: UTF-8, comma, one row a line.
"""

from __future__ import annotations

import codecs
import csv
import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomos.config import atomic_write
from tomos.types import DatasetError


@dataclass(frozen=True)
class Table:
    """A header and its rows, as text.

    lines  the line of the file on which each row ends, counted from 1
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def column(self, name: str) -> list[str]:
        """The cells of one column; DatasetError with the nearest name when there is none."""
        if name not in self.columns:
            from tomos.config.plugins import did_you_mean

            raise DatasetError(
                f"{self.path}: no column {name!r}{did_you_mean(name, list(self.columns))}"
            )
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def where(self, row: int, column: str) -> str:
        """'cases.csv, line 7, column 'label'', for a message."""
        return f"{self.path}, line {self.lines[row]}, column {column!r}"


def read_table(path: Path) -> Table:
    """A CSV file -> `Table`. Raises DatasetError, with the line, for what cannot be a table."""
    text = _text(path)
    delimiter, text, skipped = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        columns = _header(path, reader)
        rows, lines = [], []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num + skipped
            rows.append(_fit(path, line, cells, len(columns)))
            lines.append(line)
    except csv.Error as error:
        raise DatasetError(
            f"{path}, line {reader.line_num + skipped}: not readable as CSV ({error})"
        ) from None
    return Table(path, columns, tuple(rows), tuple(lines))


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table as UTF-8 CSV, whole or not at all."""

    def write(file) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        text.flush()
        text.detach()

    atomic_write(path, write)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DatasetError(f"{path}: there is no such table") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        # Chinese Excel saves "CSV" in the system's code page; GB 18030 contains GBK and GB 2312.
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text
    raise DatasetError(
        f"{path}: not a text table (expected UTF-8, UTF-16 or GB 18030); save it as 'CSV UTF-8'"
    )


def _delimiter(text: str) -> tuple[str, str, int]:
    """(delimiter, the text without a `sep=` line, lines skipped)."""
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) <= 5:
        return first.strip()[4:] or ",", rest, 1
    header = first.split('"')[::2]  # outside quotes
    counts = {mark: sum(part.count(mark) for part in header) for mark in ",;\t"}
    best = max(counts, key=lambda mark: counts[mark])
    return (best if counts[best] else ","), text, 0


def _header(path: Path, reader) -> tuple[str, ...]:
    for cells in reader:
        if any(cell.strip() for cell in cells):
            break
    else:
        raise DatasetError(f"{path}: the table is empty; expected a line of column names first")
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DatasetError(f"{path}, line {reader.line_num}: column {twice[0]!r} stands twice")
    # A spreadsheet's index column often has no name.
    return tuple(name or f"column {place}" for place, name in enumerate(names, 1))


def _fit(path: Path, line: int, cells: list[str], width: int) -> tuple[str, ...]:
    extra = [cell for cell in cells[width:] if cell.strip()]
    if len(cells) < width or extra:
        raise DatasetError(
            f"{path}, line {line}: expected {width} cells, got {len(cells)}; "
            "put a cell that holds the delimiter in double quotes"
        )
    return tuple(cell.strip() for cell in cells[:width])
