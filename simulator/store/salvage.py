"""Salvage of rows from a damaged database: by SQLite, and from its raw pages.

A row is believed where its checksum (:mod:`simulator.store.database`), which covers the name of its table, proves it
whole, wherever it was found. Pages are read as the file format has them (sqlite.org/fileformat2.html,
sections 1.5 to 2.1 and 4): tables without row ids are index b-trees, whose pages, inner and leaves, hold rows, the key
first.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from simulator.store.database import APPLICATION, NAME, TABLES, columns_of, is_whole, key_of, schema_fault
from simulator.store.lab_files import read_own

Row = tuple[Any, ...]
_INNER = 2
_LEAF = 10  # kinds of pages of an index b-tree
_DEFAULT_PAGE_SIZE = 4096  # bytes of a page, where the header does not say
_MAX_ROW_BYTES = 1 << 30  # bytes of a row
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # serial type -> bytes


class Salvaged(NamedTuple):
    """Rows by table, without their checksums, each proven whole."""

    rows: dict[str, list[Row]]
    fault: str  # fault of the database, in one line; empty: SQLite read everything, and all rows are whole


class _Image(NamedTuple):
    """Pages of a database at one moment."""

    size: int  # bytes of a page
    pages: Mapping[int, bytes]  # by number, from 1
    new: Sequence[int]  # those that no image before has


def salvage(lab: Path, scratch: Path) -> Salvaged:
    """Read every row that can be proven whole in a lab's database and its log; the lab is only read.

    No store of this process may have the lab open: closing the file would let go of the locks that SQLite holds on it.

    Args:
        lab: its folder.
        scratch: a folder for copies.

    Raises:
        StoreError: another version of engram made the lab.
    """
    for ending in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(lab / f"{NAME}{ending}", scratch / f"{NAME}{ending}")
    images = list(_images(scratch))  # before SQLite moves the log
    log_fault = _log_fault(_bytes(scratch / f"{NAME}-wal"))
    rows, fault = _asked(scratch / NAME, lab)
    fault = fault or log_fault
    if fault:
        for image in images:
            for number in image.new:
                for table, row in _rows_in(image, number):
                    rows[table].append(row)
    return Salvaged({table: list(dict.fromkeys(own_rows)) for table, own_rows in rows.items()}, fault)


def _asked(path: Path, lab: Path) -> tuple[dict[str, list[Row]], str]:
    """Read the whole rows by SQLite, and describe what is wrong."""
    rows: dict[str, list[Row]] = {table: [] for table in TABLES}
    if not path.exists():
        return rows, "it is gone"
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = bytes  # a damaged text is no reason to stop
        try:
            fault = _recognised(db, lab)
            names = {bytes(name).decode() for (name,) in db.execute("SELECT name FROM sqlite_master")}
        except (sqlite3.Error, UnicodeDecodeError) as error:
            return rows, _line(error)
        faults = [fault] if fault else []
        for table in TABLES:
            for ending in ("", " DESC") if table in names else ():  # from the other end, where it breaks off
                order = ", ".join(name + ending for name in key_of(table))
                fault = _read(db, f"SELECT * FROM {table} ORDER BY {order}", table, rows[table])
                if not fault:
                    break
                faults.append(fault)
    return rows, faults[0] if faults else ""


def _recognised(db: sqlite3.Connection, lab: Path) -> str:
    """Describe a fault of the database as a whole; empty if there is none."""
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        return "it is not the database of a lab, or its header is damaged"
    if fault := schema_fault(db, lab / NAME):
        return fault
    answer = bytes(db.execute("PRAGMA quick_check(1)").fetchone()[0]).decode("utf-8", "replace")
    return "" if answer == "ok" else " ".join(answer.split())


def _read(db: sqlite3.Connection, sql: str, table: str, into: list[Row]) -> str:
    """Collect whole rows of a query until it fails, and describe the failure."""
    fault = ""
    try:
        for values in db.execute(sql):
            row = _whole(values, table)
            if row is None:
                fault = f"a row of {table} is not what was written"
            else:
                into.append(row)
    except (sqlite3.Error, OverflowError) as error:
        fault = _line(error)
    return fault


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _whole(values: Row, table: str) -> Row | None:
    """Verify and decode a row without its checksum; None if it is damaged."""
    try:
        row = [_value(value, column.kind) for value, column in zip(values, columns_of(table), strict=True)]
        return tuple(row[:-1]) if is_whole(row, table) else None
    except (UnicodeDecodeError, OverflowError):
        return None


def _value(value: Any, kind: str) -> Any:
    """Convert a value to its column's type; the file keeps whole floats as whole numbers."""
    if kind == "TEXT" and isinstance(value, bytes):
        return value.decode()
    return float(value) if kind == "REAL" and isinstance(value, int) else value


def _images(folder: Path) -> Iterator[_Image]:
    """Iterate over versions of the pages: with the log, without it, and at every earlier frame of the log."""
    main, log = (_bytes(folder / f"{NAME}{ending}") for ending in ("", "-wal"))
    size = _page_size(main[16:18]) or _page_size(log[10:12]) or _DEFAULT_PAGE_SIZE
    pages = {1 + i: main[at : at + size] for i, at in enumerate(range(0, len(main), size))}
    frames = [
        (struct.unpack_from(">I", log, at)[0], log[at + 24 : at + 24 + size])
        for at in range(32, len(log) - 24, 24 + size)
    ]
    newest = {**pages, **dict(frames)}
    yield _Image(size, newest, list(newest))
    if frames:
        yield _Image(size, pages, list(pages))
        for number, page in frames:
            if newest[number] is not page:
                yield _Image(size, ChainMap({number: page}, newest), [number])


def _log_fault(log: bytes) -> str:
    """Describe a fault of the log, of which SQLite would silently read a part; see section 4 of the file format."""
    if not log:
        return ""
    magic = int.from_bytes(log[:4], "big")
    size = _page_size(log[10:12])
    words = ">" if magic & 1 else "<"
    sums = _summed(log[:24], (0, 0), words)
    if magic >> 1 != 0x377F0682 >> 1 or not size or struct.pack(">2I", *sums) != log[24:32]:
        return "the head of its log is damaged"
    for at in range(32, len(log) - 24 - size + 1, 24 + size):
        if log[at + 8 : at + 16] != log[16:24]:  # of an earlier log that this one overwrites
            break
        sums = _summed(log[at : at + 8] + log[at + 24 : at + 24 + size], sums, words)
        if struct.pack(">2I", *sums) != log[at + 16 : at + 24]:
            return "its log is damaged"
    return ""


def _summed(data: bytes, sums: tuple[int, int], words: str) -> tuple[int, int]:
    one, two = sums
    numbers = struct.unpack(f"{words}{len(data) // 4}I", data)
    for first, second in zip(numbers[::2], numbers[1::2], strict=True):
        one = one + first + two & 0xFFFFFFFF
        two = two + second + one & 0xFFFFFFFF
    return one, two


def _bytes(path: Path) -> bytes:
    return read_own(path) if os.path.lexists(path) else b""


def _page_size(field: bytes) -> int:
    """Decode the page size in bytes; 0 if it is invalid."""
    size = int.from_bytes(field, "big")
    size = 65536 if size == 1 else size
    return size if 512 <= size <= 65536 and not size & (size - 1) else 0


def _rows_in(image: _Image, number: int) -> Iterator[tuple[str, Row]]:
    """Iterate over table and values of every whole row in a page."""
    page = image.pages[number]
    first = 100 if number == 1 else 0
    if len(page) < image.size or page[first] not in (_INNER, _LEAF):
        return
    inner = page[first] == _INNER
    n_cells = int.from_bytes(page[first + 3 : first + 5], "big")
    start = first + (12 if inner else 8)
    for at in range(start, min(start + 2 * n_cells, image.size - 1), 2):
        cell = int.from_bytes(page[at : at + 2], "big") + (4 if inner else 0)
        record = _record(image, page, cell)
        values = (_values(record) if record else None) or ()
        for table in _tables().get(len(values), ()):
            row = _whole(_in_order(values, table), table)
            if row is not None:
                yield table, row


@cache
def _tables() -> dict[int, list[str]]:
    """Group tables by their number of columns."""
    tables: dict[int, list[str]] = {}
    for table in TABLES:
        tables.setdefault(len(columns_of(table)), []).append(table)
    return tables


def _in_order(values: Row, table: str) -> Row:
    """Reorder values as the table declares them; a page has the key's first."""
    names = [column.name for column in columns_of(table)]
    stored = [*key_of(table), *(name for name in names if name not in key_of(table))]
    return tuple(values[stored.index(name)] for name in names)


def _record(image: _Image, page: bytes, at: int) -> bytes | None:
    """Read the bytes of a row with its overflow pages; None if there is none."""
    length, at = _varint(page, at)
    if not 1 < length < _MAX_ROW_BYTES:
        return None
    most = (image.size - 12) * 64 // 255 - 23
    least = (image.size - 12) * 32 // 255 - 23
    n_local = length
    if length > most:
        n_local = least + (length - least) % (image.size - 4)
        n_local = n_local if n_local <= most else least
    record = page[at : at + n_local]
    next_page = int.from_bytes(page[at + n_local : at + n_local + 4], "big")
    while len(record) < length:
        page = image.pages.get(next_page, b"")
        if len(page) < image.size:
            return None
        next_page = int.from_bytes(page[:4], "big")
        record += page[4 : 4 + length - len(record)]
    return record


def _values(record: bytes) -> Row | None:
    """Decode the values of a row; None if there is none."""
    end, at = _varint(record, 0)
    body = end
    values = list[Any]()
    while at < end <= len(record) and len(values) <= max(_tables()):
        kind, at = _varint(record, at)
        size = _INTEGERS.get(kind, 8 if kind == 7 else max(kind - 12, 0) // 2)
        raw = record[body : body + size]
        if len(raw) < size or kind in (10, 11):
            return None
        if kind in _INTEGERS:
            values.append(int.from_bytes(raw, "big", signed=True))
        elif kind == 7:
            values.append(struct.unpack(">d", raw)[0])
        else:
            values.append({0: None, 8: 0, 9: 1}[kind] if kind < 10 else raw)
        body += size
    return tuple(values)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Decode a varint of one to nine bytes, and return its end too; 0 beyond the end."""
    value = 0
    for i in range(9):
        if at >= len(data):
            return 0, at
        byte = data[at]
        at = at + 1
        if i == 8:
            return value << 8 | byte, at
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value, at
