"""Tests of checkpoint files: exact round trips, and detected corruption."""

import errno
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from simulator.store import checkpoints
from simulator.store.checkpoints import Damaged, Written, file_of, read, sweep, write
from simulator.store.records import StoreError, StoreFailure
from tests.system.storing import same

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DTYPES = st.sampled_from(["?", "u1", "i2", "<u8", "<i8", "<f4", "<f8", "f2", ">f8", ">i4", "c8", "c16", "U3", "M8[s]"])
ARRAYS = DTYPES.flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)))
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), ARRAYS)
TREES = st.recursive(PLAIN, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(), x, max_size=3), max_leaves=8)


def there_and_back(folder, state):
    return read(file_of(folder, 1), write(folder, 1, state))


@pytest.mark.slow
@QUICK
@given(state=st.dictionaries(st.text(), TREES, max_size=3))
def test_any_state_comes_back_as_it_was(tmp_path, state):
    assert same(there_and_back(tmp_path, state), state)


def test_rare_values_come_back_as_they_were(tmp_path):
    grid = np.arange(24, dtype=np.int32).reshape(4, 6)
    state = {
        "words": np.array([2**64 - 1, 0], np.uint64),
        "scalar array": np.array(7, np.uint64),
        "empty": np.zeros((0, 3), np.float32),
        "strided": grid[::2, ::-3],
        "fortran": np.asfortranarray(grid),
        "nan payloads": np.array([0x7FC12345, 0xFFC00001, 0x7F800001], np.uint32).view(np.float32),
        "signed zero": np.array([-0.0, 0.0]),
        "numpy scalars": [np.float32(0.1), np.uint64(2**63), np.bool_(True), np.int8(-3)],
        "integers": [0, -1, 2**63 - 1, 2**63, -(2**64), 3**5000, True],
        "texts": ["", "\0", 'é\n\\"', "\ud800", "$"],
        "floats": [float("inf"), -0.0, 5e-324, float("nan")],
        "": {"__metadata__": None, "0": (1, (2,), [])},
    }
    back = there_and_back(tmp_path, state)
    assert same(back, state)
    assert str(back["floats"][1]) == "-0.0"
    assert back["words"].flags.writeable


def test_the_arrays_can_be_read_by_other_programs(tmp_path):
    from safetensors.numpy import load_file

    write(tmp_path, 1, {"q": np.arange(3.0)})
    assert same(list(load_file(file_of(tmp_path, 1)).values()), [np.arange(3.0)])


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({1, 2}, r"state\.agent\[1\] is a set, expected arrays, numbers"),
        ({3: "x"}, r"state\.agent\[1\] is a dict with keys other than strings"),
        (np.array([None]), r"state\.agent\[1\] is an array of object"),
        (np.zeros(2, [("a", "f8")]), r"state\.agent\[1\] is an array of \[\('a'"),
        ("x" * (25 << 20), r"characters of plain values, expected at most"),
    ],
)
def test_a_state_that_cannot_be_kept_is_refused_before_anything_is_written(tmp_path, value, says):
    with pytest.raises(StoreFailure, match=says):
        write(tmp_path, 1, {"agent": [0, value]})
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    written = write(folder, 1, {"q": np.arange(20.0), "n": 3, "lists": [1, "two"]})
    return written, file_of(folder, 1).read_bytes()


@QUICK
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_found(tmp_path, whole, data):
    written, content = whole
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    flipped = content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
    file_of(tmp_path, 1).write_bytes(flipped)
    with pytest.raises(Damaged, match="SHA-256"):
        read(file_of(tmp_path, 1), written)
    assert file_of(tmp_path, 1).read_bytes() == flipped


@QUICK
@given(data=st.data())
def test_a_file_cut_short_or_grown_is_found(tmp_path, whole, data):
    written, content = whole
    changed = data.draw(st.integers(0, len(content) - 1).map(lambda n: content[:n]) | st.just(content + b"\0"))
    file_of(tmp_path, 1).write_bytes(changed)
    with pytest.raises(Damaged, match=f"it has {len(changed)} bytes instead of {len(content)}"):
        read(file_of(tmp_path, 1), written)


def test_a_missing_file_or_a_folder_in_its_place_is_found(tmp_path):
    with pytest.raises(Damaged, match="it is gone"):
        read(file_of(tmp_path, 1), Written(1, ""))
    file_of(tmp_path, 1).mkdir()
    with pytest.raises(Damaged, match="it cannot be read: it is a folder"):
        read(file_of(tmp_path, 1), Written(1, ""))


def test_a_failed_write_leaves_the_earlier_file_unchanged(tmp_path, monkeypatch):
    first = write(tmp_path, 1, {"n": 1})

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path, 1, {"n": 2})
    assert os.listdir(tmp_path) == [file_of(tmp_path, 1).name]
    assert read(file_of(tmp_path, 1), first) == {"n": 1}


def test_sweeping_takes_what_was_not_recorded_and_nothing_else(tmp_path):
    for number in (1, 2, 3):
        write(tmp_path, number, {"n": number})
    (tmp_path / "checkpoint-4.safetensors.partial").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    sweep(tmp_path, {2})
    assert sorted(os.listdir(tmp_path)) == ["checkpoint-2.safetensors", "notes.txt"]


def test_what_shrinks_is_compressed_and_what_does_not_is_stored_as_it_is(tmp_path):
    generator = np.random.Generator(np.random.PCG64(1))
    frames = np.repeat(generator.integers(0, 256, (50, 1, 84), np.uint8), 84, axis=1)
    positions = np.arange(50_000).reshape(2, -1)
    weights = generator.standard_normal(20_000, np.float32)
    words = np.array(["compressed", "too"] * 1_000)
    state = {"frames": [frames, frames[:0]], "positions": positions, "weights": weights, "words": words}
    assert same(there_and_back(tmp_path, state), state)
    shrunk = file_of(tmp_path, 1).stat().st_size - weights.nbytes
    assert 0 < shrunk < 0.2 * (frames.nbytes + positions.nbytes + words.nbytes)


def test_a_large_array_that_occurs_twice_is_stored_once(tmp_path):
    weights = np.random.Generator(np.random.PCG64(1)).standard_normal(300_000, np.float32)
    state = {"online": weights, "target": weights.copy(), "other": weights.reshape(2, -1) + 1}
    back = there_and_back(tmp_path, state)
    assert same(back, state)
    assert not np.shares_memory(back["online"], back["target"])
    assert file_of(tmp_path, 1).stat().st_size < 2.1 * weights.nbytes


@pytest.mark.parametrize(("schema", "age"), [(2, "an older"), (4, "a newer")])
def test_a_checkpoint_of_another_version_is_refused_in_one_line(tmp_path, monkeypatch, schema, age):
    monkeypatch.setattr(checkpoints, "_SCHEMA", schema)
    written = write(tmp_path, 1, {"step": 1}, {"step": 1})
    monkeypatch.undo()
    with pytest.raises(StoreError, match=f"is from {age} engram: its schema is {schema}, expected 3"):
        read(file_of(tmp_path, 1), written)


def test_a_state_without_its_replay_shares_the_rest():
    state = {"step": 3, "agent": {"weights": np.ones(2), "replay": {"obs": np.ones(9)}}}
    left = checkpoints.without_replay(state)
    assert list(left["agent"]) == ["weights"]
    assert "replay" in state["agent"]
    assert checkpoints.without_replay(left) is left
    assert checkpoints.without_replay({"cells": 3}) == {"cells": 3}
