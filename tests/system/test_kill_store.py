"""Tests of ``kill -9`` of the store: rows and newest checkpoint always agree, with no row twice or lost."""

import pytest

from tests.system.killing import MOMENTS
from tests.system.storing import child

pytestmark = pytest.mark.kill


@pytest.mark.parametrize("how", ["random", "line"])
def test_a_killed_writer_loses_nothing(tmp_path, how):
    n, progressed = map(int, child("killing", tmp_path / "lab", how).split())
    assert n >= MOMENTS
    assert progressed >= 3
