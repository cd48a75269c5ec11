"""Tests of repairing a lab: what checksums prove intact is recovered, the rest is named."""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.commands import reproduce
from simulator.config.run import build
from simulator.store import journal
from simulator.store.database import NAME
from simulator.store.repair import repair
from simulator.store.run_store import Store, StoreError
from simulator.training import loop
from tests.system.storing import (
    SEEDS,
    begin,
    check_newest,
    check_rows,
    check_two_runs,
    contents,
    evaluation,
    line,
    points,
    write,
)

PAGE = 4096
SMALL = build(
    {"seeds": 2, "steps": 600, "eval_episodes": 3, "agent": {"name": "q_learning"}, "env": {"name": "FrozenLake-v1"}}
)


def overwrite(lab, at, content):
    path = lab / NAME
    data = bytearray(path.read_bytes())
    data[at : at + len(content)] = content
    path.write_bytes(data[: max(len(data), at)])


def repaired(lab, name="new"):
    """Repair a lab, check that it is unchanged and nothing else is left, and return the answer and the new lab."""
    before, new = contents(lab), lab.parent / name
    others = {path.name for path in lab.parent.iterdir()}
    answer = repair(str(lab), str(new))
    assert contents(lab) == before
    assert {path.name for path in lab.parent.iterdir()} == {*others, name}
    json.dumps(answer, allow_nan=False)
    return answer, new


def whole(answer):
    return [each["lost"] for each in answer["runs"]] == [[], []] and answer["lost_runs"] == []


def test_an_intact_lab_is_copied_with_every_bit(lab):
    answer, new = repaired(lab)
    assert answer["database"] is None
    assert [each["from"] for each in answer["runs"]] == ["database", "database"]
    assert whole(answer)
    check_two_runs(new)
    with Store(lab) as one, Store(new) as two:
        assert one.runs() == two.runs()


@pytest.mark.parametrize("page", range(9))
@pytest.mark.parametrize("how", ["zero", "garbage", "cut"])
def test_runs_are_recovered_from_their_folders_whatever_happens_to_the_database(lab, page, how):
    assert (lab / NAME).stat().st_size == 9 * PAGE
    if how == "cut":
        os.truncate(lab / NAME, page * PAGE + 17)
    else:
        overwrite(lab, page * PAGE, bytes(PAGE) if how == "zero" else os.urandom(PAGE))
    answer, new = repaired(lab)
    assert answer["database"] or (how, page) == ("cut", 8)  # a page of an empty table
    assert whole(answer)
    check_two_runs(new)


def headless(lab):
    overwrite(lab, 0, b"\xff" * 100)


def gone(lab):
    (lab / NAME).unlink()


def emptied(lab):
    os.truncate(lab / NAME, 0)


def diary(lab):
    (lab / NAME).write_bytes(b"dear diary\n" * 2000)


@pytest.mark.parametrize("harm", [headless, gone, emptied, diary])
def test_without_a_database_runs_are_recovered_and_resumed(lab, harm):
    harm(lab)
    answer, new = repaired(lab)
    assert whole(answer)
    check_two_runs(new)
    with Store(new) as store:
        store.take("r1")
        check_newest(store, "r1", 12)
        write(store, "r1", 12, 14)
        check_rows(store, "r1", (5, 9, 12, 14))
        assert begin(store, 1) == "r3"
    harm(new)
    again, newer = repaired(new, "newer")
    assert [each["step"] for each in again["runs"]] == [14, 3, 1]
    with Store(newer) as store:
        check_rows(store, "r1", (5, 9, 12, 14))


@pytest.fixture
def unclosed(tmp_path):
    """Make a lab as a power cut leaves it: the log holds everything since the first checkpoint."""
    with Store(tmp_path / "was") as store:
        begin(store, 5)
    with Store(tmp_path / "was") as store:
        store.take("r1")
        store.newest("r1")
        for first, last in ((5, 9), (9, 12), (12, 13), (13, 17)):
            write(store, "r1", first, last)
        begin(store, 3)
        shutil.copytree(tmp_path / "was", tmp_path / "lab", ignore=shutil.ignore_patterns("writer"))
    assert (tmp_path / "lab" / f"{NAME}-wal").stat().st_size > 0
    return tmp_path / "lab"


@pytest.mark.parametrize("harm", [os.unlink, lambda path: os.truncate(path, 0), lambda path: os.truncate(path, 5000)])
def test_a_lost_log_is_reported_and_nothing_is_removed(unclosed, harm, engram):
    harm(unclosed / f"{NAME}-wal")
    files = {path for path in (unclosed / "runs").rglob("checkpoint-*")}
    with Store(unclosed) as store:
        with pytest.raises(
            StoreError, match=r"knows fewer checkpoints of run r1 than there are: 1 of 5; engram repair"
        ):
            store.take("r1")
        message = (
            r"has no run 'r2': the database knows fewer runs than there are checkpoints: r2 is not in .*; engram rep"
        )
        with pytest.raises(StoreError, match=message) as error:
            store.find("r2")
        line(error.value)
    assert "fewer runs than there are checkpoints: r2 is not in" in engram("list", "runs", "--lab", str(unclosed)).err
    assert files == {path for path in (unclosed / "runs").rglob("checkpoint-*")}
    answer, new = repaired(unclosed)
    assert whole(answer)
    with Store(new) as store:
        check_rows(store, "r1", (5, 9, 12, 13, 17))
        check_newest(store, "r1", 17)
        check_rows(store, "r2", (3,))


def test_a_log_without_a_database_is_not_an_empty_lab(unclosed, engram):
    (unclosed / NAME).unlink()
    err = engram("show", "latest", "--lab", str(unclosed), code=2).err
    assert f"engram repair {unclosed} -o NEWLAB recovers what is whole" in err
    answer, _ = repaired(unclosed)
    assert [each["step"] for each in answer["runs"]] == [17, 3]
    assert whole(answer)


def test_rows_come_out_of_the_log_where_its_head_is_damaged(unclosed):
    for folder in (unclosed / "runs").iterdir():
        (folder / journal.NAME).unlink()
    with (unclosed / f"{NAME}-wal").open("r+b") as file:
        file.write(bytes(32))
    answer, new = repaired(unclosed)
    assert answer["database"] == "the head of its log is damaged"
    assert whole(answer)
    with Store(new) as store:
        check_rows(store, "r1", (5, 9, 12, 13, 17))
        check_rows(store, "r2", (3,))


def test_a_damaged_checkpoint_is_named_and_an_earlier_one_is_used(lab):
    gone(lab)
    newest = lab / "runs" / "r1" / "checkpoint-3.safetensors"
    newest.write_bytes(newest.read_bytes()[:-3])
    answer, new = repaired(lab)
    assert [each["step"] for each in answer["runs"]] == [9, 3]
    with Store(new) as store:
        store.take("r1")
        check_newest(store, "r1", 9)
        check_rows(store, "r1", (5, 9))
        write(store, "r1", 9, 12)
        check_rows(store, "r1", (5, 9, 12))


def test_without_an_intact_checkpoint_and_rows_a_run_begins_again(lab):
    gone(lab)
    for path in (lab / "runs" / "r1").glob("checkpoint-*"):
        path.write_bytes(b"")
    answer, new = repaired(lab)
    first = answer["runs"][0]
    assert (first["step"], first["status"], first["from"]) == (0, "interrupted", "settings")
    assert first["lost"] == ["no checkpoint is whole and rows are lost (0 are left): it begins again at step 0"]
    with Store(new) as store:
        store.take("r1")
        assert store.newest("r1") is None
        write(store, "r1", 0, 4)
        check_rows(store, "r1", (4,))


def test_a_run_with_intact_rows_only_is_shown_and_not_resumed(lab):
    for path in (lab / "runs" / "r1").glob("*"):
        path.unlink()
    answer, new = repaired(lab)
    assert answer["runs"][0]["lost"][-1] == "no checkpoint is whole: it can be shown and reported, not resumed"
    with Store(new) as store:
        check_rows(store, "r1", (5, 9, 12))
        store.take("r1")
        with pytest.raises(StoreError, match="none of its 3 checkpoints is whole"):
            store.newest("r1")


def test_labs_without_journals_are_repaired_from_intact_pages(lab):
    for folder in (lab / "runs").iterdir():
        (folder / journal.NAME).unlink()
    overwrite(lab, 3 * PAGE, bytes(PAGE))  # every point
    answer, _ = repaired(lab)
    assert [each["from"] for each in answer["runs"]] == ["settings", "settings"]
    assert all("begins again" in each["lost"][0] for each in answer["runs"])
    gone(lab)
    answer, _ = repaired(lab, "newer")
    assert answer["runs"] == []
    reason = "its settings were in the database only, beside 3 checkpoints without a record of them"
    assert answer["lost_runs"][0] == {"run": "r1", "reason": reason}


def test_a_run_that_lost_its_journal_gets_one_when_it_is_resumed(lab):
    (lab / "runs" / "r1" / journal.NAME).unlink()
    with Store(lab) as store:
        store.take("r1")
        store.newest("r1")
        write(store, "r1", 12, 15)
    gone(lab)
    answer, new = repaired(lab)
    assert whole(answer)
    with Store(new) as store:
        check_rows(store, "r1", (5, 9, 12, 15))


def test_rows_lost_from_the_journal_are_named_and_the_run_is_marked(lab):
    path = lab / "runs" / "r1" / journal.NAME
    data = bytearray(path.read_bytes())
    second = [at for at in range(len(data)) if data.startswith(journal._MAGIC, at)][2]
    data[second + 60] ^= 1
    path.write_bytes(data)
    gone(lab)
    answer, new = repaired(lab)
    recovered = answer["runs"][0]
    (lost,) = recovered["lost"]
    assert recovered["step"] == 5
    assert "after step 5" in lost
    with Store(new) as store:
        check_rows(store, "r1", (5,))
    for number in (1, 2):
        (lab / "runs" / "r1" / f"checkpoint-{number}.safetensors").unlink()
    answer, new = repaired(lab, "newer")
    first = answer["runs"][0]
    assert first["step"] == 12
    assert first["lost"][0].startswith("rows from before step 12 are lost: 9 curve points and 3 evaluations are left")
    with Store(new) as store:
        record = store.find("r1")
        assert record.exact is False
        assert record.lost == first["lost"][0]
        check_newest(store, "r1", 12)


def test_a_writer_that_went_back_keeps_a_journal_of_the_rows_it_kept(lab):
    flipped = lab / "runs" / "r1" / "checkpoint-3.safetensors"
    flipped.write_bytes(b"nothing")
    with Store(lab) as store:
        store.take("r1")
        check_newest(store, "r1", 9)
        write(store, "r1", 9, 20)
    gone(lab)
    _, new = repaired(lab)
    with Store(new) as store:
        check_rows(store, "r1", (5, 9, 20))


def refuse(lab, into, says):
    before = contents(lab.parent)
    with pytest.raises(ValueError, match=says) as error:
        repair(str(lab), str(into))
    line(error.value)
    assert contents(lab.parent) == before


def test_harmful_repairs_are_refused(lab, tmp_path, engram):
    refuse(lab, lab, "it is in the lab that is repaired")
    refuse(lab, lab / "runs" / "new", "it is in the lab that is repaired")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    refuse(lab, tmp_path / "taken", "already exists")
    refuse(lab, tmp_path / "taken" / "file", "already exists")
    os.symlink(tmp_path / "nowhere", tmp_path / "link")
    refuse(lab, tmp_path / "link", "already exists")
    refuse(tmp_path / "link", tmp_path / "new", "it is a link to .*/nowhere, which is not there, expected a folder")
    os.symlink("round", tmp_path / "round")
    refuse(lab, tmp_path / "round", "already exists")
    refuse(tmp_path / "round", tmp_path / "new", "it is a link that leads to itself, expected a folder")
    refuse(lab, tmp_path / ("x" * 300), "File name too long, expected a folder")
    refuse(tmp_path / "taken", tmp_path / "new", "there is no lab in it")
    refuse(tmp_path / "nowhere", tmp_path / "new", "there is no such folder")
    with Store(lab) as store:
        store.take("r2")
        refuse(lab, tmp_path / "new", "r2 is being written")
    with closing(sqlite3.connect(lab / NAME)) as db, db:
        db.execute("PRAGMA user_version = 99")
    refuse(lab, tmp_path / "new", "its schema is 99, expected 5")
    engram("repair", str(lab), code=2)


def interrupted(lab, until=300):
    with Store(lab) as store:
        snapshots = loop.run(SMALL, store, checkpoint_every=0.0)
        for snapshot in snapshots:
            if snapshot.step >= until:
                break
        snapshots.close()


def end(lab):
    """Finish the run and return its rows."""
    with Store(lab) as store:
        *_, last = loop.run(SMALL, store, "r1")
        assert store.find("r1").status == "done"
        return reproduce.rows(store, last.id)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    lab = tmp_path_factory.mktemp("undisturbed")
    with Store(lab) as store:
        *_, last = loop.run(SMALL, store)
        return reproduce.rows(store, last.id)


@pytest.mark.slow
@pytest.mark.parametrize("spoiled", [0, 1, 2])
def test_a_repaired_run_ends_in_the_bits_of_an_undisturbed_one(tmp_path, undisturbed, spoiled, engram):
    lab = tmp_path / "lab"
    interrupted(lab)
    gone(lab)
    files = sorted((lab / "runs" / "r1").glob("checkpoint-*"), key=lambda path: path.stat().st_mtime_ns)
    for path in files[len(files) - spoiled :]:
        os.truncate(path, 100)
    (recovered,) = engram("repair", str(lab), "-o", str(tmp_path / "new"), "--json").json["runs"]
    assert recovered["from"] == ("settings" if spoiled == 2 else "journal")
    assert reproduce.compare(undisturbed, end(tmp_path / "new")) is None
    assert engram("show", "r1", "--lab", str(tmp_path / "new"), "--json").json["status"] == "done"
    engram("report", "r1", "--lab", str(tmp_path / "new"))


@pytest.mark.slow
def test_cells_of_tournaments_are_recovered_from_intact_pages(tmp_path, engram):
    lab, words = tmp_path / "lab", ["--agents", "q_learning", "random_walk", "--envs", "rooms", "FrozenLake-v1"]
    play = [
        "tournament",
        *words,
        "--seeds",
        "3",
        "--seeds-per-cell",
        "1",
        "--steps",
        "200",
        "--workers",
        "1",
        "--view",
        "none",
    ]
    engram(*play, "--lab", str(lab))
    headless(lab)
    assert "t1: 12 of 12 cells" in engram("repair", str(lab), "-o", str(tmp_path / "new")).out
    shown = engram("show", "t1", "--lab", str(tmp_path / "new"), "--json").json
    assert shown["cells"]["missing"] == 0
    size = (lab / NAME).stat().st_size
    counts = []
    for page in range(1, size // PAGE, 3):
        damaged = shutil.copytree(lab, tmp_path / f"lab{page}")
        overwrite(damaged, page * PAGE, bytes(PAGE))
        answer = repair(str(damaged), str(tmp_path / f"new{page}"))
        counts += [each["cells"] for each in answer["tournaments"]]
    assert max(counts) == 12
    assert min(counts) < 12
    at = tmp_path / f"new{1 + counts.index(min(counts))}"
    assert engram("resume", "t1", "--workers", "1", "--lab", str(at), code=None).code in (0, 2)


QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@QUICK
@given(data=st.data())
def test_repaired_data_is_never_wrong_whatever_was_damaged(original, tmp_path_factory, data):
    tmp = tmp_path_factory.mktemp("damaged")
    lab = shutil.copytree(original, tmp / "lab")
    paths = sorted(path for path in lab.rglob("*") if path.is_file() and path.stat().st_size)
    for path in data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=5, unique=True)):
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "zero", "gone"]))
        if kind == "flip":
            content[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del content[at:]
        else:
            content[at : at + 3 * PAGE] = bytes(len(content[at : at + 3 * PAGE]))
        path.unlink() if kind == "gone" else path.write_bytes(content)
    try:
        answer = repair(str(lab), str(tmp / "new"))
    except StoreError as error:
        line(error)
        return
    with Store(tmp / "new") as store:
        for recovered in answer["runs"]:
            check_recovered(store, recovered)
    shutil.rmtree(tmp)


def check_recovered(store, recovered):
    """Fail unless every recovered row of a run is right and every missing one is reported."""
    run, steps = recovered["run"], {"r1": (5, 9, 12), "r2": (3,)}[recovered["run"]]
    record = store.find(run)
    assert (record.seeds, record.step) == (SEEDS, recovered["step"])
    assert recovered["step"] in (0, *steps)
    if not recovered["lost"] or not record.lost:
        check_rows(store, run, tuple(step for step in steps if step <= recovered["step"]))
    found, last = store.points(run), steps[-1]
    expected = points(0, last)
    known = {
        (int(seed), int(point)): i for i, (seed, point) in enumerate(zip(expected.seed, expected.point, strict=True))
    }
    for k, (seed, point) in enumerate(zip(found.seed, found.point, strict=True)):
        at = known[int(seed), int(point)]
        assert all(np.array_equal(one[k], two[at]) for one, two in zip(found, expected, strict=True))
    every = {(row.seed, row.step): row for step in steps for row in evaluation(step)}
    for row in store.evaluations(run):
        assert np.array_equal(row.returns, every[row.seed, row.step].returns)
