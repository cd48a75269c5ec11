"""Tests of ``engram tune`` and of what the other commands do with a tuning."""

from __future__ import annotations

import json

import pytest

from simulator.commands.main import main
from tests.helpers.tunings import SMALL, tuned

LINE = ["tune", "q_learning", "rooms", "--steps", "200", "--trials", "2", "--batch", "2", "--seeds", "2"]
QUICK = [*LINE, "--judge-seeds", "2", "--eval-episodes", "2", "--workers", "1", "--view", "none"]
SPACE = ["--space.agent.step-size", "0.01:1:log"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Return a lab with one tuning."""
    lab = tmp_path_factory.mktemp("tuned") / "lab"
    tuned(lab, SMALL)
    return str(lab)


def test_a_line_gives_one_json_object_and_writes_the_best_settings(tmp_path, capsys):
    best = tmp_path / "best.toml"
    lab = ["--lab", str(tmp_path / "lab")]
    assert main([*QUICK, *SPACE, *lab, "--json", "-o", str(best)]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["tune"] == "t1"
    assert [trial["state"] for trial in data["trials"]] == ["complete"] * 2
    assert best.read_text("utf-8") == data["best_settings"]
    assert main(["run", "--config", str(best), "--steps", "50", "--view", "none", "--json", *lab]) == 0
    run = json.loads(capsys.readouterr().out)
    assert run["agent"] == "q_learning"
    assert run["seeds"] == [1000, 1001]
    assert main([*QUICK, *SPACE, *lab, "--json", "-o", str(best)]) == 2  # before anything is run
    assert "already exists" in capsys.readouterr().err
    assert main([*QUICK, *SPACE, *lab, "--json", "-o", str(best), "--force"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == data["trials"]
    assert main(["resume", "t1", *lab, "--view", "none", "-o", str(best), "--force"]) == 0
    onward = capsys.readouterr().out.partition("next:\n")[2].splitlines()
    named = f"--lab {tmp_path / 'lab'}"
    assert onward == [f"  engram run --config {best} {named}", f"  engram report t1 --csv {named}"]


def test_a_file_says_what_a_line_says(tmp_path, capsys):
    file = tmp_path / "space.toml"
    file.write_text(
        "steps = 200\ntrials = 2\nbatch = 2\nseeds = 2\njudge_seeds = 2\neval_episodes = 2\n"
        '[agent]\nname = "q_learning"\n[env]\nname = "rooms"\n[space]\n'
        "agent.step_size = {low = 0.01, high = 1, log = true}\n",
        "utf-8",
    )
    lab = ["--lab", str(tmp_path / "lab"), "--json", "--workers", "1", "--view", "none"]
    assert main(["tune", str(file), *lab]) == 0
    of_file = json.loads(capsys.readouterr().out)
    assert main([*QUICK, *SPACE, *lab]) == 0
    assert json.loads(capsys.readouterr().out)["tune"] == of_file["tune"]  # the same settings: the same tuning


def test_other_commands_know_a_tuning(lab, capsys):
    assert main(["list", "tunings", "--lab", lab, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["tunings"]
    assert (row["tune"], row["what"], row["trials"], row["status"]) == ("t1", "q_learning in FrozenLake-v1", 6, "done")
    assert main(["list", "tournaments", "--lab", lab, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tournaments"] == []
    assert main(["show", "latest", "--lab", lab]) == 0
    shown = capsys.readouterr().out
    assert "on 3 fresh seeds, 1000 to 1002" in shown
    assert "[space.agent" in shown
    assert main(["report", "t1", "--lab", lab, "--csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 7
    assert main(["report", "t1", "--lab", lab, "--table"]) == 0
    assert capsys.readouterr().out.count("|") > 20
    assert main(["resume", "t1", "--lab", lab, "--json", "--view", "none"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "done"


@pytest.mark.parametrize(
    "command", [["plot", "-o", "t.svg", "--smooth", "2"], ["watch"], ["reproduce"], ["export", "a.npz"], ["fork"]]
)
def test_commands_without_a_use_for_a_tuning_say_so(command, lab, capsys, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    word, *rest = command
    assert main([word, "t1", *rest, "--lab", lab]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "has no run" not in printed.err


def test_a_tuning_is_drawn_by_trial_and_by_setting(lab, tmp_path, capsys):
    path = tmp_path / "t1.svg"
    assert main(["plot", "t1", "-o", str(path), "--lab", lab, "--json"]) == 0
    pictures = json.loads(capsys.readouterr().out)["pictures"]
    assert [picture["kind"] for picture in pictures] == ["trials", "settings"]
    assert pictures[1]["panels"] == ["gamma", "step_size"]
    assert path.read_text("utf-8").startswith("<?xml")


def test_a_tuning_is_deleted_with_its_cells(tmp_path, capsys):
    tuned(tmp_path, SMALL)
    assert main(["delete", "t1", "--yes", "--lab", str(tmp_path), "--json"]) == 0
    deleted = json.loads(capsys.readouterr().out)["deleted"]
    assert [(each["name"], each["kind"]) for each in deleted] == [("t1", "tune")]
    assert main(["list", "tunings", "--lab", str(tmp_path)]) == 0
    assert "there are no tunings yet" in capsys.readouterr().out
    assert main(["prune", "--dry-run", "--lab", str(tmp_path), "--json"]) == 0
    assert not any("cells" in item["what"] for item in json.loads(capsys.readouterr().out)["freed"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["tune"], "expected engram tune FILE.toml, engram tune AGENT ENV, or engram tune MEMORY CHALLENGE"),
        (["tune", "q_learning"], "expected engram tune FILE.toml"),
        (["tune", "q_learning", "rooms"], "expected at least one setting to search"),
        (["tune", "rooms", "q_learning", *SPACE], "engram tune q_learning rooms"),
        (["tune", "rbm", "rooms", *SPACE], "expected a recall challenge beside the memory rbm"),
        ([*QUICK, "--space.agent.step-size", "1:0.1"], "--space.agent.step-size: low = 1.0 and high = 0.1"),
        ([*QUICK, "--space.agent.step-size", "a:b"], "--space.agent.step-size a: expected a number"),
        ([*QUICK, "--space.agent.step-sizes", "0.1:1"], "did you mean --space.agent.step-size?"),
        ([*QUICK, "--space.agent.gamma", "0:0.9:log"], "low = 0.0 with log, expected a number above 0"),
        ([*QUICK, "--space.env.layout", "six,four"], "expected a setting of q_learning"),
        ([*QUICK, *SPACE, "-o", "best.txt"], "expected a file that ends in .toml"),
        ([*QUICK, *SPACE, "-o", "/missing/best.toml"], "/missing/best.toml: cannot be written"),
        ([*QUICK, *SPACE, "--patterns", "30"], "patterns = 30: not for an agent"),
        ([*QUICK, *SPACE, "--workers", "some"], "--workers some: expected a number of processes"),
        ([*QUICK, *SPACE, "--force"], "--force: nothing is written"),
        (["tune", "missing.toml"], "missing.toml"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(words, line, tmp_path, capsys):
    lab = tmp_path / "lab"
    assert main([*words, "--lab", str(lab)]) == 2
    printed = capsys.readouterr()
    assert line in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out
    assert not lab.exists()


def test_help_shows_the_settings_that_can_be_searched(capsys):
    assert main(["tune", "q_learning", "rooms", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--halving" in shown
    assert "step-size" in shown
