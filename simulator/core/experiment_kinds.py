"""Kinds of experiment, as the store and the commands name them."""

from __future__ import annotations

RUN = "run"
RECALL = "recall"
PREDICT = "predict"
MATCH = "match"
TOURNAMENT = "tournament"
TUNE = "tune"
PLAY = "play"  # by a person


def noun_of(kind: str) -> str:
    """Return what errors call a stored experiment of a kind: ``recall benchmark``."""
    nouns = {
        RECALL: "recall benchmark",
        PREDICT: "comparison of predictions",
        TUNE: "tuning",
        PLAY: "recording of play",
    }
    return nouns.get(kind, kind)
