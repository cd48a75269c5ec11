"""SQLite database of a lab: created atomically, opened only if it is ours, with one-line errors.

Every row ends in a checksum of its table's name and its other values: SQLite notices damage to its own structure, but
not a flipped bit in a number. A lab of another schema is refused: nothing is converted.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from simulator.store.checkpoints import sync_folder
from simulator.store.lab_files import read_own, write_own
from simulator.store.records import StoreError, StoreFailure
from simulator.versions import version_of

NAME = "engram.sqlite3"
LOCK_TIMEOUT = 30.0  # seconds to wait for another process's transaction
APPLICATION = 0x656E6772  # "engr"
SCHEMA = 5
_MAX_CHECKED = 64 << 20  # bytes up to which the whole file is checked before a write
CHECKED = "checked"  # beside the database: its fingerprint after our last write
TABLES = {
    "experiments": "id INTEGER PRIMARY KEY, kind TEXT, agent TEXT, env TEXT, seeds TEXT, steps INTEGER,"
    " settings TEXT, settings_hash TEXT, versions TEXT, status TEXT, created TEXT, step INTEGER, seconds REAL,"
    " cpu_seconds REAL, exact INTEGER, result TEXT, checkpoint INTEGER, points INTEGER, evaluations INTEGER,"
    " metrics INTEGER, checksum INTEGER",
    "checkpoints": "experiment INTEGER REFERENCES experiments (id), number INTEGER, step INTEGER, seconds REAL,"
    " cpu_seconds REAL, exact INTEGER, size INTEGER, sha256 TEXT, quarantined INTEGER, checksum INTEGER,"
    " PRIMARY KEY (experiment, number)",
    "points": "experiment INTEGER REFERENCES experiments (id), checkpoint INTEGER, seed INTEGER, point INTEGER,"
    " step INTEGER, episodes INTEGER, return_sum REAL, return_min REAL, return_max REAL, return_sq REAL,"
    " length_sum REAL, checksum INTEGER, PRIMARY KEY (experiment, seed, point)",
    "evaluations": "experiment INTEGER REFERENCES experiments (id), checkpoint INTEGER, seed INTEGER, step INTEGER,"
    " mean REAL, exact REAL, returns BLOB, checksum INTEGER, PRIMARY KEY (experiment, seed, step)",
    "metrics": "experiment INTEGER REFERENCES experiments (id), checkpoint INTEGER, seed INTEGER, step INTEGER,"
    " name TEXT, value REAL, checksum INTEGER, PRIMARY KEY (experiment, seed, step, name)",
    "tournaments": "id INTEGER PRIMARY KEY, kind TEXT, label TEXT, settings TEXT, settings_hash TEXT, plan TEXT,"
    " versions TEXT, status TEXT, created TEXT, seconds REAL, cpu_seconds REAL, checksum INTEGER",
    "analyses": "tournament INTEGER PRIMARY KEY, cells TEXT, analysis TEXT, checksum INTEGER",
    "cells": "pair TEXT, first INTEGER, count INTEGER, status TEXT, reason TEXT, scores BLOB, second BLOB, steps BLOB,"
    " curve BLOB, facts TEXT, versions TEXT, seconds REAL, cpu_seconds REAL, exact INTEGER, created TEXT,"
    " checksum INTEGER, PRIMARY KEY (pair, first, count)",
}
_SQL = {name: f"CREATE TABLE {name} ({columns}) WITHOUT ROWID" for name, columns in TABLES.items()}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNUSABLE = (
    errno.ENOENT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
)


class Column(NamedTuple):
    """A column of a table."""

    name: str
    kind: str  # INTEGER, REAL, TEXT or BLOB


@cache
def columns_of(table: str) -> tuple[Column, ...]:
    """Return a table's columns, the checksum last."""
    words = [text.split() for text in TABLES[table].split(", PRIMARY KEY (")[0].split(", ")]
    return tuple(Column(*word[:2]) for word in words)


@cache
def key_of(table: str) -> tuple[str, ...]:
    """Return the primary key of a table."""
    together = TABLES[table].partition(", PRIMARY KEY (")[2].removesuffix(")")
    return tuple(together.split(", ")) if together else (columns_of(table)[0].name,)


def is_whole(row: Sequence[Any], table: str) -> bool:
    """Return whether a row, its checksum last, matches its checksum."""
    return bool(_checksum(row[:-1], table) == row[-1])


def create(path: Path) -> None:
    """Make an empty database under a temporary name and rename it to ``path``. The caller holds a lock."""
    fresh = path.with_name(path.name + ".new")
    try:
        for leftover in path.parent.glob(fresh.name + "*"):
            leftover.unlink()
        with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            with _transaction(db):
                for sql in _SQL.values():
                    db.execute(sql)
                db.execute(f"PRAGMA application_id = {APPLICATION}")
                db.execute(f"PRAGMA user_version = {SCHEMA}")
        fresh.replace(path)
    except BaseException:
        for leftover in path.parent.glob(fresh.name + "*"):
            leftover.unlink()
        raise
    sync_folder(path.parent)


def open_file(path: Path, readonly: bool = False) -> sqlite3.Connection:
    """Open a lab's database.

    A folder without write permission cannot take the shared memory that a write-ahead log needs, so a closed
    database is opened there as one that does not change.

    Raises:
        StoreError: it is not a lab's database, is from a newer version, or is damaged.
    """
    log = path.with_name(path.name + "-wal")
    still = readonly and not (log.exists() and log.stat().st_size)
    mode = "mode=ro&immutable=1" if still else "mode=ro" if readonly else "mode=rw"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=LOCK_TIMEOUT, isolation_level=None)
    try:
        _check_schema(db, path)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        db.close()
        raise
    return db


def _check_schema(db: sqlite3.Connection, path: Path) -> None:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION:
        raise StoreError(f"{path} is not the database of a lab, or its header is damaged; {_untouched(path)}")
    if fault := schema_fault(db, path):
        raise StoreError(f"{path} is damaged: {fault}; {_untouched(path)}")


def schema_fault(db: sqlite3.Connection, path: Path) -> str:
    """Return the fault of a database's schema; empty if there is none.

    Raises:
        StoreError: another version of engram made the lab; the line says which, and what to do.
    """
    schema = int(db.execute("PRAGMA user_version").fetchone()[0])
    tables = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    is_ours = {_text(name): _text(sql) for name, sql in tables} == _SQL
    if schema > SCHEMA or (0 < schema < SCHEMA and not is_ours):
        raise StoreError(other_schema(path, schema, SCHEMA, _made_by(db)))
    return "" if is_ours and schema == SCHEMA else f"its tables are not those of schema {SCHEMA}"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def other_schema(path: Path, schema: int, expected: int, made_by: str = "") -> str:
    """Format the error for a lab, or a file in it, of another schema.

    Args:
        path: the lab's database, or the file.
        schema: its schema.
        expected: the schema of this version.
        made_by: version of engram that wrote it, where that is known.
    """
    age = "a newer" if schema > expected else "an older"
    maker = f"engram {made_by}, {age} version" if made_by else f"{age} version of engram"
    return (
        f"{path} was made by {maker}: its schema is {schema}, expected {expected};"
        f" use that version for it, or another lab (--lab DIR) for this one ({version_of('engram-rl')})"
    )


def _made_by(db: sqlite3.Connection) -> str:
    """Return the version of engram that began the newest experiment; empty if it cannot be read."""
    for table in ("experiments", "runs", "tournaments"):  # "runs" up to schema 2
        with suppress(sqlite3.Error, ValueError, TypeError, AttributeError):
            row = db.execute(f"SELECT versions FROM {table} ORDER BY id DESC LIMIT 1").fetchone()
            if row and (version := json.loads(row[0]).get("engram-rl")):
                return str(version)
    return ""


class Database:
    """An open database of a lab. Its errors are StoreError and StoreFailure.

    Args:
        path: its file; without write permission it can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wrote = False
        self._readonly = not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
        with translated(path, self._readonly):
            self._db = open_file(path, self._readonly)
            self._identity = path.stat().st_ino

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        if self._wrote:  # closing moves the log into it
            self._note()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read one moment of the database, without blocking writers."""
        with translated(self.path, self._readonly):
            if self._readonly:  # it was opened as unchanging: look again
                self._db.close()
                self._db = open_file(self.path, readonly=True)
            try:
                self._db.execute("BEGIN")
                yield
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Commit everything inside durably in one transaction, or nothing."""
        if self._readonly:
            raise StoreError(f"lab {self.path.parent} is read-only: {self.path.name} cannot be written")
        with translated(self.path):
            self._still_there()
            with _transaction(self._db):
                self._check_whole()
                yield
            self._wrote = True
            self._note()

    def _still_there(self) -> None:
        if not self.path.exists() or self.path.stat().st_ino != self._identity:
            raise StoreFailure(f"{self.path} was moved or removed while it was in use; nothing more is recorded")

    def _check_whole(self) -> None:
        """Refuse to write into a damaged database, by a quick check of small ones.

        The check takes time with every run in it, so it runs only if the file has changed since our last write.
        """
        if self._looks() == self._noted() or self.path.stat().st_size > _MAX_CHECKED:
            return
        answer = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise damaged(self.path, " ".join(answer.split()))

    def _looks(self) -> str:
        """Describe the file by what changes when another process, a copy or a restored backup changes it.

        The file is not opened for it: closing any descriptor of a file drops every lock that the process has on it,
        those of SQLite's connection too, and the next process to close would delete the log under its writers.
        """
        status = self.path.stat()
        return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"

    def _noted(self) -> str:
        try:
            return read_own(self.path.parent / CHECKED).decode("ascii")
        except (OSError, UnicodeDecodeError):
            return ""

    def _note(self) -> None:
        """Store the file's fingerprint; if that fails, the next writer checks the file."""
        with suppress(OSError):
            fingerprint = self._looks()
            if fingerprint != self._noted():
                write_own(self.path.parent / CHECKED, fingerprint)

    def select(self, table: str, clause: str = "", args: Sequence[Any] = ()) -> list[Any]:
        """Select rows of a table in the order of its columns, without their checksums.

        Raises:
            StoreError: a row does not match its checksum.
        """
        rows = self._db.execute(f"SELECT * FROM {table} {clause}", args).fetchall()
        if not all(is_whole(row, table) for row in rows):
            raise damaged(self.path, f"a row of {table} is not what was written")
        if len(set(rows)) != len(rows):
            raise damaged(self.path, f"a row of {table} is there twice")
        return [row[:-1] for row in rows]

    def insert(self, table: str, rows: Iterable[Sequence[Any]]) -> int:
        """Insert rows in the order of the table's columns, and return their number."""
        whole = ((*row, _checksum(row, table)) for row in rows)
        marks = ", ".join("?" * len(columns_of(table)))
        return self._db.executemany(f"INSERT INTO {table} VALUES ({marks})", whole).rowcount

    def update(self, table: str, row: Any, keys: Sequence[str]) -> None:
        """Replace the row of the same keys; ``row`` is in the order of the table's columns."""
        columns = ", ".join(f"{name} = ?" for name in (*row._fields, "checksum"))
        where = " AND ".join(f"{key} = ?" for key in keys)
        values = (*row, _checksum(row, table), *(getattr(row, key) for key in keys))
        self._db.execute(f"UPDATE {table} SET {columns} WHERE {where}", values)

    def fingerprint(self, table: str, column: str, values: Sequence[Any]) -> tuple[int, int]:
        """Count the rows that have one of these values in a column, and sum their checksums."""
        n = 0
        total = 0
        for value in values:
            sql = f"SELECT count(*), coalesce(sum(checksum), 0) FROM {table} WHERE {column} = ?"
            row = self._db.execute(sql, [value]).fetchone()
            n += row[0]
            total += row[1]
        return n, total

    def size_of(self, table: str, where: str, args: Sequence[Any]) -> int:
        """Return the bytes of the texts and arrays in the rows of a table."""
        columns = [column.name for column in columns_of(table) if column.kind in ("TEXT", "BLOB")]
        size = " + ".join(f"length(CAST({name} AS BLOB))" for name in columns)
        row = self._db.execute(f"SELECT coalesce(sum({size}), 0) FROM {table} WHERE {where}", args).fetchone()
        return int(row[0])

    def delete(self, table: str, where: str, args: Sequence[Any]) -> int:
        """Delete rows and return their number."""
        return self._db.execute(f"DELETE FROM {table} WHERE {where}", args).rowcount

    def compact(self) -> int:
        """Give unused pages back to the disk, and return their bytes; nothing is done for less than an eighth.

        Raises:
            StoreFailure: another process uses the database.
        """
        with translated(self.path):
            self._still_there()
            pages = int(self._db.execute("PRAGMA page_count").fetchone()[0])
            unused = int(self._db.execute("PRAGMA freelist_count").fetchone()[0])
            if 8 * unused < pages:
                return 0
            self._db.execute("VACUUM")
            self._wrote = True
            self._note()
            return unused * int(self._db.execute("PRAGMA page_size").fetchone()[0])


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _checksum(row: Sequence[Any], table: str) -> int:
    """Compute the CRC-32 of a row. Values must be of the types that SQLite returns."""
    values = [zlib.crc32(value) if type(value) is bytes else value for value in row]  # text of a blob takes long
    return zlib.crc32(ascii((table, *values)).encode())


def damaged(path: Path, fault: str) -> StoreError:
    """Make the error for a damaged database."""
    return StoreError(f"{path} is damaged: {fault}; {_untouched(path)}")


def _untouched(path: Path) -> str:
    return f"nothing was changed, the checkpoints are in {path.parent / 'runs'}; {repair_advice(path.parent)}"


def repair_advice(lab: Path) -> str:
    """Advise on a damaged lab."""
    return f"engram repair {lab} -o NEWLAB recovers what is whole"


@contextmanager
def translated(path: Path, readonly: bool = False) -> Iterator[None]:
    """Translate errors of a database and of its disk to one line.

    Raises:
        StoreError: it cannot be used as it is.
        StoreFailure: it failed while working.
    """
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except UnicodeDecodeError as error:  # sqlite3 quotes the damaged place in its message
        raise damaged(path, "a text in it is not UTF-8") from error
    except sqlite3.Error as error:
        raise _told(error, path, readonly) from error
    except OSError as error:
        place = error.filename or path
        if error.errno in _FULL:
            raise StoreFailure(f"no space for {place}: {error.strerror}; what was recorded before is whole") from error
        if error.errno in _UNUSABLE:
            raise StoreError(f"cannot use {place}: {error.strerror}") from error
        raise StoreFailure(f"{place}: {error.strerror or error}") from error


def _told(error: sqlite3.Error, path: Path, readonly: bool) -> StoreError | StoreFailure:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreFailure(f"{path} was locked by another process for more than {LOCK_TIMEOUT:g} s")
    if code == sqlite3.SQLITE_FULL:
        return StoreFailure(f"no space for {path}: {error}; what was recorded before is whole")
    if code == sqlite3.SQLITE_IOERR:
        return StoreFailure(
            f"{path}: {error}: disk full, file too large or disk lost; what was recorded before is whole"
        )
    if code == sqlite3.SQLITE_CONSTRAINT:
        return StoreFailure(f"{path}: nothing was recorded, a row would be there twice: {error}")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        why = "it was not closed, and reading it needs permission to write" if readonly else str(error)
        return StoreError(f"{path} cannot be {'read' if readonly else 'written'}: {why}")
    return damaged(path, " ".join(str(error).split()))
