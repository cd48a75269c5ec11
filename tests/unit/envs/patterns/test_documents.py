"""Tests of documents as patterns: weights by hand and against scikit-learn, sources, and bad folders."""

from __future__ import annotations

from collections import Counter
from math import log

import numpy as np
import pytest

from envs.common.corruption.parse import parse
from envs.patterns import documents
from envs.patterns.documents import Config, make, tf_idf
from simulator.core import rng


def _folder(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(tmp_path)


FILES = {
    "sea/one.txt": "sail, sail the harbour",
    "sea/two.md": "the harbour and the anchor",
    "land/three.txt": "anchor the garden garden garden",
}


def _rows(config):
    """Return the patterns of a folder by topic and order of their names, as {tuple}."""
    challenge = make([0], config)
    drawn = challenge.draw(challenge.max_patterns)
    return challenge, {
        (int(label), tuple(row.tolist())) for label, row in zip(drawn.labels[0], drawn.stored[0], strict=True)
    }


def test_bag_of_words_by_hand(tmp_path):
    """The words anchor, garden, harbour, sail, in this order; topics land, sea."""
    path = _folder(tmp_path, FILES)
    challenge, rows = _rows(Config(path=path, min_documents=1))
    assert challenge.retrieval.topics == ("land", "sea")
    assert challenge.spec.is_bipolar
    assert rows == {(1, (-1, -1, 1, 1)), (1, (1, -1, 1, -1)), (0, (1, 1, -1, -1))}
    counts, rows = _rows(Config(path=path, min_documents=1, features="counts"))
    assert not counts.spec.is_bipolar
    assert (0, (pytest.approx(2 / 3 - 1), 1.0, -1.0, -1.0)) in list(rows)  # one of at most three
    _, rows = _rows(Config(path=path))
    assert {row for _, row in rows} == {(-1, 1), (1, 1), (1, -1)}  # anchor and harbour occur twice


def test_tf_idf_by_hand_and_as_scikit_learn_has_it():
    counts = np.array([[2, 1, 0], [0, 1, 1], [0, 1, 0]], np.float32)
    rare, common = log(4 / 2) + 1, 1.0  # ln(4 / 4) + 1
    expected = [[(1 + log(2)) * rare, common, 0], [0, common, rare], [0, common, 0]]
    np.testing.assert_allclose(tf_idf(counts), expected, rtol=1e-6)
    from sklearn.feature_extraction.text import TfidfTransformer

    stream = rng.generators([3], "patterns")[0]
    counts = stream.poisson(0.4, (30, 50)).astype(np.float32)
    theirs = TfidfTransformer(norm=None, sublinear_tf=True).fit_transform(counts).toarray()
    np.testing.assert_allclose(tf_idf(counts), theirs, rtol=1e-5)


def test_the_corpus_has_twelve_texts_on_each_of_ten_topics():
    found = documents.corpus()
    assert set(Counter(document.topic for document in found).values()) == {12}
    assert len({document.topic for document in found}) == 10
    assert make([0], Config()).max_patterns == len({document.text for document in found}) == 120


def test_the_manual_is_read_by_sections():
    challenge = make([0], Config(source="manual"))
    assert {"guides", "agents", "memories", "pages"} <= set(challenge.retrieval.topics)
    assert challenge.max_patterns > 100


def test_dropped_words_are_a_part_of_the_document_and_replaced_ones_are_as_many():
    challenge = make([0, 1], Config())
    stored = challenge.draw(40).stored
    streams = rng.generators([0, 1], "corruption")
    dropped = parse("hide:0.5", challenge.spec).corrupt(stored, stored, streams).values
    assert (dropped <= stored).all()
    share = (dropped > 0).sum() / (stored > 0).sum()
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt((stored > 0).sum())
    replaced = parse("replace:0.5", challenge.spec).corrupt(stored, stored, rng.generators([0, 1], "corruption")).values
    np.testing.assert_array_equal((replaced > 0).sum(axis=2), (stored > 0).sum(axis=2))
    assert ((replaced > 0) & (stored < 0)).any()


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({}, "found no text, expected files that end in .txt .md .rst"),
        ({"a.jpg": b"\xff\xd8"}, "found no text"),
        ({"a.txt": "one alone here"}, "found 1 document, expected at least 2"),
        ({"a.txt": b"\xff\xfe\x00\x01", "b.txt": "words"}, "is not UTF-8, expected a text in UTF-8"),
        ({"a.txt": b"some\0words", "b.txt": "words"}, "found a null byte, expected a text in UTF-8"),
        ({"a.txt": "red boats", "b.txt": "green hills"}, "no word occurs in so many of 2 documents"),
        ({"a.txt": "the", "b.txt": "and 12 3"}, "no word occurs in so many"),
    ],
    ids=["empty", "pictures", "one", "no-utf-8", "null", "nothing-common", "stop-words"],
)
def test_bad_folders_are_refused_in_one_line(tmp_path, files, line):
    path = _folder(tmp_path, files)
    with pytest.raises(ValueError, match=line) as caught:
        make([0], Config(path=path))
    assert "\n" not in str(caught.value)
    assert "documents" in str(caught.value) or path in str(caught.value)


def test_a_folder_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"documents: path = 'nowhere': no such folder, expected a folder of text"):
        make([0], Config(path="nowhere"))
