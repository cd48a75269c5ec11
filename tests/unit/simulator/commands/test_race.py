"""Tests of ``engram race``: its table and its pictures, the JSON object, bad input."""

from __future__ import annotations

import json

import pytest

from simulator.commands.main import main

QUICK = ["race", "momentum", "adam", "--objectives", "ravine", "--steps", "300", "--seeds", "4", "--chosen-on", "4"]


def test_the_table_says_what_was_not_reached_and_the_picture_fits_the_terminal(capsys, monkeypatch):
    words = [*QUICK, "--step-sizes", "0.00001,0.005"]
    assert main(words) == 0
    assert "not within 300" in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "60")
    assert main(words) == 0
    shown = capsys.readouterr().out
    picture = [line for line in shown.splitlines() if line and set(line) <= set(" .maos*")]
    assert len(picture) == 20
    assert max(map(len, picture)) <= 60
    assert sum(line.count("*") for line in picture) == sum(line.count("o") for line in picture) == 1


def test_json_is_one_object_with_null_for_what_was_not_reached(capsys):
    assert main([*QUICK, "--step-sizes", "0.00001", "--json"]) == 0
    printed = capsys.readouterr()
    data = json.loads(printed.out)
    row = data["objectives"][0]["rules"][0]
    assert row["median_steps"]["median"] is None
    assert row["reached"]["share"] == 0.0
    assert row["per_seed"] == [None] * 4


def test_pictures_are_written(tmp_path, capsys):
    path = tmp_path / "race.svg"
    assert main([*QUICK, "--picture", str(path)]) == 0
    text = path.read_text("utf-8")
    assert text.startswith("<?xml")
    assert main([*QUICK, "--picture", str(path), "--force"]) == 0
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["race", "adan"], "unknown update rule 'adan'; did you mean adam?"),
        (["race", "--objectives", "bowl"], "--objectives bowl: expected"),
        (["race", "--step-sizes", "0"], "--step-sizes 0: expected"),
        (["race", "--chosen-first-seed", "0"], "expected other starting points than those of the result"),
        (["race", "--picture", "race.txt"], "expected a file that ends in"),
        (["race", "--picture", "/missing/race.svg"], "/missing/race.svg: cannot be written"),
        (["race", "--beta1", "1"], "--beta1 1: expected"),
    ],
)
def test_bad_input_is_one_line(words, line, capsys):
    assert main(words) == 2
    printed = capsys.readouterr()
    assert line in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out
