"""Tests of ``engram generate``: its JSON, its table, pictures, and what it refuses."""

from __future__ import annotations

import re

import pytest

QUICK = ("glyphs", "--seeds", "2", "--patterns", "4", "--novel", "5", "--samples", "30", "--moments", "2")
SMALL = ("--memory.vae.updates", "30", "--memory.vae.hidden", "8", "--memory.vae.latent-dim", "2")


def test_json_has_measures_samples_walk_and_plane(engram):
    found = engram("generate", "vae", *QUICK, *SMALL, "--json").json
    (memory,) = found["memories"]
    assert [moment["share"] for moment in memory["moments"]][-1] == 1.0
    for moment in memory["moments"]:
        assert 1.0 <= moment["modes"]["low"] <= moment["modes"]["mean"] <= moment["modes"]["high"] <= 4.0
        assert len(moment["novel"]["per_seed"]) == 2
        assert len(moment["shown"]) == 16
    assert len(memory["walk"]) == 8
    assert len(memory["plane"]["patterns"]) == 8
    assert found["held_out"]["novel"]["mean"] == 1.0


def test_one_memory_needs_no_label_and_two_do(engram):
    bare = ("--memory.updates", "30", "--memory.hidden", "8", "--memory.latent-dim", "2")
    alone = engram("generate", "vae", *QUICK, *bare, "--json").json
    labelled = engram("generate", "vae", *QUICK, *SMALL, "--json").json
    assert alone == labelled
    error = engram("generate", "vae", "rbm", *QUICK, *bare, code=2).error
    assert error == "--memory.updates: expected --memory.LABEL.updates, LABEL one of vae, rbm"


def test_the_table_and_the_pictures(engram, tmp_path):
    file = tmp_path / "out.svg"
    out = engram("generate", "vae", *QUICK, *SMALL, "--picture", str(file)).out
    assert "stored patterns, drawn uniformly" in out
    assert "vae: plane of codes" in out
    assert file.read_text("utf-8").lstrip().startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("hopfield", "glyphs"), "hopfield generates no patterns, expected adversarial_autoencoder"),
        (("vae", "hopfield"), "unknown challenge .hopfield.; it is a memory"),
        (("vae", "glyphs", "--patterns", "99"), "99 stored and 0 held-out"),
        (("vae", "glyphs", "--picture", "x.txt"), "expected a file that ends in"),
        (("vae", "glyphs", "--walk", "1"), "--walk"),
    ],
)
def test_bad_input_is_one_line(engram, words, why):
    assert re.search(why, engram("generate", *words, code=2).error)
