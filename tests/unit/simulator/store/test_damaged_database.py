"""Tests of damaged databases: one line that names the damage, and nothing overwritten."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.store.database import NAME
from simulator.store.run_store import Store, StoreError, StoreFailure
from tests.system.storing import check_two_runs, contents, files, line

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def edit(lab, *statements):
    with closing(sqlite3.connect(lab / NAME)) as db, db:
        for statement in statements:
            db.execute(statement)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("PRAGMA user_version = 6", "was made by a newer version of engram: its schema is 6, expected 5"),
        ("PRAGMA user_version = 0", "is damaged: its tables are not those of schema 5"),
        ("PRAGMA application_id = 7", "is not the database of a lab"),
        ("DROP TABLE points", "is damaged: its tables are not those of schema 5"),
    ],
)
def test_another_schema_is_refused(lab, statement, says):
    edit(lab, statement)
    before = contents(lab)
    with pytest.raises(StoreError, match=says) as error:
        Store(lab)
    assert str(lab / NAME) in line(error.value)
    assert contents(lab) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE points SET return_sum = return_sum + 1e-9 WHERE point = 3 AND seed = 1",
        "UPDATE points SET experiment = 2 WHERE point = 3 AND seed = 1",
        "DELETE FROM points WHERE point = 3 AND seed = 1",
        "DELETE FROM metrics WHERE name = 'exact' AND seed = 1",
        "DELETE FROM checkpoints WHERE number = 3",
    ],
)
def test_a_changed_or_missing_row_is_noticed(lab, statement):
    edit(lab, statement)
    with pytest.raises(StoreError, match=r"is damaged: .* (points|metrics|is not in it)") as error:
        check_two_runs(lab)
    assert f"nothing was changed, the checkpoints are in {lab / 'runs'}" in line(error.value)


@pytest.mark.parametrize("place", ["header", "middle", "zeros", "cut", "empty", "text"])
def test_a_damaged_database_is_refused_in_one_line_and_left_alone(lab, place):
    path = lab / NAME
    content = bytearray(path.read_bytes())
    pages = len(content) // 4096
    changed = {
        "header": b"\xff" * 16 + content[16:],
        "middle": content[:4096] + b"\xa5" * 4096 * (pages - 1),
        "zeros": bytes(len(content)),
        "cut": content[: len(content) // 2],
        "empty": b"",
        "text": b"dear diary\n" * 1000,
    }
    path.write_bytes(changed[place])
    before = contents(lab)
    with pytest.raises(StoreError, match=str(path)) as error, Store(lab) as store:
        store.take("r1")
    assert f"the checkpoints are in {lab / 'runs'}" in line(error.value)
    assert contents(lab) == before


def test_a_database_that_forgot_a_checkpoint_costs_no_file(lab):
    edit(lab, "DELETE FROM checkpoints WHERE experiment = 1")
    with Store(lab) as store:
        with pytest.raises(StoreError, match="checkpoint 3 of run r1 is not in it"):
            store.take("r1")
        assert len(files(store, "r1")) == 3


@pytest.mark.parametrize(("text", "other"), [(b"agent = ", b"\xffgent = "), (b"TABLE points", b"T\xc1BLE points")])
def test_damaged_texts_are_reported_in_one_line(lab, text, other):
    path = lab / NAME
    path.write_bytes(path.read_bytes().replace(text, other))
    with pytest.raises(StoreError, match="UTF-8") as error, Store(lab) as store:
        store.runs()
    assert str(path) in line(error.value)


@pytest.mark.parametrize("page", range(5))
def test_a_row_that_stands_in_the_place_of_another_is_noticed(lab, page):
    path, start = lab / NAME, 4096 * page
    content = bytearray(path.read_bytes())
    cells = start + (108 if page == 0 else 8)  # the page's list of where its rows are
    content[cells + 2 : cells + 4] = content[cells : cells + 2]
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        check_two_runs(lab)
    assert path.read_bytes() == content


@pytest.mark.slow
@QUICK
@given(data=st.data())
def test_a_flipped_byte_anywhere_in_the_database_is_reported_or_harmless(lab, original, data):
    path, content = lab / NAME, bytearray((original / NAME).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        check_two_runs(lab)
    except (StoreError, StoreFailure) as error:
        line(error)
    assert path.read_bytes() == content
