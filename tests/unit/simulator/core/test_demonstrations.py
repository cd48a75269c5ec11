"""Tests of files of demonstrations."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core.demonstrations import Demonstrations, read_demonstrations, write_demonstrations

SHOWN = Demonstrations(np.array([[0.5, 1.0], [1.5, 2.0]], np.float32), np.array([1, 0]), np.array([0, 0]))


def test_what_is_written_is_read(tmp_path):
    write_demonstrations(tmp_path / "a.safetensors", SHOWN)
    found = read_demonstrations(tmp_path / "a.safetensors")
    for name, array in SHOWN._asdict().items():
        np.testing.assert_array_equal(getattr(found, name), array)
        assert getattr(found, name).dtype == array.dtype


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a file of arrays", "expected a file of demonstrations"),
        (None, "cannot be read"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=said) as error:
        read_demonstrations(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_arrays_of_different_lengths_are_refused(tmp_path):
    write_demonstrations(tmp_path / "a.safetensors", SHOWN._replace(actions=np.array([1])))
    with pytest.raises(ValueError, match=r"obs \[2, 2\], actions \[1\], episode \[2\]: expected as many of each"):
        read_demonstrations(tmp_path / "a.safetensors")


def test_arrays_of_another_kind_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"weights": np.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="obs is missing"):
        read_demonstrations(tmp_path / "a.safetensors")
