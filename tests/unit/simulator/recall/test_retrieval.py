"""Tests of looking documents up: the nearest document of all, its ceiling, its table, and who refuses."""

from __future__ import annotations

import itertools

import pytest

from simulator.commands import main as command_line
from simulator.config import recall as recall_config
from simulator.core.experiment_kinds import RECALL
from simulator.recall import loop
from simulator.recall import summary as recalls
from simulator.reporting import plot, recall
from simulator.store.run_store import Store

SMALL = {
    "seeds": 3,
    "patterns": [30],
    "corruption": ["hide:0.5", "replace:0.4"],
    "novel": 5,
    "challenge": {"name": "documents"},
    "memory": {"identity": {}, "nearest_neighbor": {}, "rbm": {"n_hidden": 2, "learn": {"updates": 30}}},
}


def _played(lab, config, cells=None):
    with Store(lab) as store:
        snapshots = loop.recall(config, store)
        for snapshot in itertools.islice(snapshots, cells):
            run = snapshot.id
        snapshots.close()
        if cells:
            for snapshot in loop.recall(config, store, run):
                run = snapshot.id
        return recalls.summary(store, run)


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    return _played(tmp_path_factory.mktemp("lab"), recall_config.build(SMALL))


def test_a_dropped_word_hides_no_document_from_the_cosine(summary):
    """Of a document with half of its words the posterior finds almost all, and so does the cosine."""
    (cell,) = [c for c in summary["cells"] if c["memory"] == "identity" and c["corruption"] == "hide:0.5"]
    found = cell["retrieval"]["by_recall"]
    assert found["first"]["mean"] == pytest.approx(cell["ceiling"]["exact"], abs=0.03)
    assert found["first"]["mean"] <= found["reciprocal_rank"]["mean"] <= 1.0
    assert cell["retrieval"]["by_code"] is None
    assert len(cell["retrieval"]["topics"]) == len(found["by_topic"]) == 10


def test_codes_are_ranked_too_and_those_of_two_units_are_a_map(summary):
    (cell,) = [c for c in summary["cells"] if c["memory"] == "rbm" and c["corruption"] == "hide:0.5"]
    (whole,) = [c for c in summary["cells"] if c["memory"] == "identity" and c["corruption"] == "hide:0.5"]
    assert 0.0 < cell["retrieval"]["by_code"]["first"]["mean"] < whole["retrieval"]["by_recall"]["first"]["mean"]
    assert len(cell["retrieval"]["plane"]["points"]) == len(cell["retrieval"]["plane"]["labels"]) == 30
    kinds = [picture.kind for picture in plot.drawing_of(RECALL, summary, ["retrieval", "plane"]).pictures]
    assert kinds == ["retrieval", "retrieval", "plane"]


def test_the_table_has_a_row_for_every_way(summary):
    (table,) = recall.retrieval_tables(summary)
    shown = [row[:4] for row in table.rows if row[1] == "hide:0.5"]
    assert sorted(row[2:] for row in shown) == sorted(
        [
            ["identity", "recall"],
            ["nearest_neighbor", "recall"],
            ["rbm", "recall"],
            ["rbm", "code"],
            ["Bayes-optimal", ""],
        ]
    )


@pytest.mark.slow
def test_interrupted_and_alone_it_is_the_same(tmp_path, summary):
    again = _played(tmp_path / "cut", recall_config.build(SMALL), 3)
    alone = _played(tmp_path / "alone", recall_config.build({**SMALL, "seeds": 1, "first_seed": 2}))
    for whole, resumed, single in zip(summary["cells"], again["cells"], alone["cells"], strict=True):
        for way in ("by_recall", "by_code"):
            if whole["retrieval"][way]:
                for name in recalls.LOOKUPS:
                    per_seed = whole["retrieval"][way][name]["per_seed"]
                    assert resumed["retrieval"][way][name]["per_seed"] == per_seed
                    assert single["retrieval"][way][name]["per_seed"] == per_seed[2:]


def test_other_challenges_are_not_looked_up(tmp_path):
    summary = _played(tmp_path, recall_config.build({**SMALL, "challenge": {"name": "glyphs"}, "patterns": [5]}))
    assert {cell["retrieval"] for cell in summary["cells"]} == {None}
    assert recall.retrieval_tables(summary) == []


def test_a_memory_of_signs_refuses_weights_in_one_line(tmp_path, capsys):
    words = [
        "recall",
        "hopfield",
        "documents",
        "--challenge.features",
        "tf-idf",
        "--seeds",
        "1",
        "--lab",
        str(tmp_path),
    ]
    assert command_line.main([*words, "--view", "none"]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("engram: hopfield")
