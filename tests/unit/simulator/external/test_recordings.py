"""Tests of recorded episodes: the file, and its check by replaying."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from simulator.external.contestants import external, play_external
from simulator.external.recordings import RecordedEpisode, Recording, changed_settings, read_recording, write_recording
from tests.helpers.external_contestants import lean, played, recorded, run

POLE = {"env": "CartPole-v1", "settings": {}}


@pytest.fixture
def file(tmp_path):
    """Return a file with two episodes of seed 0 and two of seed 2, on CartPole."""
    write_recording(tmp_path / "person.json", recorded("CartPole-v1", [0, 2], lean))
    return tmp_path / "person.json"


def refusal(path, env="CartPole-v1", **settings):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is what is tested
        played(f"human:{path}", env, seeds=3, **settings)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


def edited(path, change):
    values = json.loads(path.read_text("utf-8"))
    change(values)
    path.write_text(json.dumps(values), "utf-8")
    return path


@pytest.mark.parametrize(
    ("env", "policy", "settings"),
    [
        ("CartPole-v1", lean, {"max_steps": 30}),
        ("rooms", lambda obs: int(obs) % 4, {"layout": "four", "slip": 0.2}),
        ("MountainCarContinuous-v0", lambda obs: np.array([1.0 if obs[1] > 0 else -1.0], np.float32), {}),
    ],
)
def test_a_recording_is_read_and_replayed(tmp_path, env, policy, settings):
    recording = recorded(env, [3, 5], policy, **settings)
    write_recording(tmp_path / "r.json", recording)
    read = read_recording(tmp_path / "r.json")
    assert (read.env, read.settings) == (recording.env, recording.settings)
    for ours, theirs in zip(read.episodes, recording.episodes, strict=True):
        np.testing.assert_array_equal(ours.actions, theirs.actions)
        assert ours._replace(actions=()) == theirs._replace(actions=())
    scores = played(f"human:{tmp_path / 'r.json'}", env, seeds=3, first_seed=3, env_=settings)["scores"]
    means = {seed: np.mean([each.total for each in recording.episodes if each.seed == seed]) for seed in (3, 5)}
    np.testing.assert_array_equal(scores, [means[3], math.nan, means[5]])


def test_an_editor_may_put_a_byte_order_mark_before_a_recording(file):
    before = read_recording(file)
    Path(file).write_bytes(b"\xef\xbb\xbf" + Path(file).read_bytes())
    assert read_recording(file).settings == before.settings
    assert len(read_recording(file).episodes) == len(before.episodes)


def test_a_return_worked_by_hand(tmp_path):
    """Down the cliff from its start: -100 and back to the start, until time is up after three steps."""
    fall = RecordedEpisode(0, [1, 1, 1], -300.0, False, True)
    write_recording(tmp_path / "r.json", Recording("CliffWalking-v1", {"max_steps": 3}, (fall,)))
    found = played(f"human:{tmp_path / 'r.json'}", "CliffWalking-v1", seeds=1, env_={"max_steps": 3})
    assert found["scores"] == [-300.0]


def test_seeds_without_episodes_were_not_played_and_did_not_fail(file):
    found = played(f"human:{file}", "CartPole-v1", seeds=4)
    assert [math.isnan(score) for score in found["scores"]] == [False, True, False, True]
    assert found["facts"]["not_played"] == [1, 3]
    assert found["failed"] == []
    assert found["facts"]["threshold"] == 475.0
    assert found["steps"] == [25, 50, 60]
    np.testing.assert_array_equal(found["curve"], np.repeat(np.array(found["scores"])[:, None], 3, axis=1))


def test_episodes_of_other_seeds_are_not_read(file):
    edited(file, lambda values: values["episodes"][0].update({"return": 7.0}))
    assert played(f"human:{file}", "CartPole-v1", seeds=1, first_seed=2)["scores"][0] > 0
    assert "has return" in refusal(file)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda v: v.update(engram_recording=2), "engram_recording = 2: expected 1"),
        (lambda v: v.pop("engram_recording"), "Object missing required field `engram_recording`"),
        (lambda v: v.update(env="Acrobot-v1"), "env = 'Acrobot-v1': expected 'CartPole-v1'"),
        (lambda v: v["settings"].update(max_stps=3), "settings.max_stps: no such setting; did you mean"),
        (lambda v: v["settings"].update(max_steps=30), "settings.max_steps = 30: expected 0, as in this tournament"),
        (lambda v: v.update(episodes=[]), "episodes is empty, expected at least one"),
        (lambda v: v["episodes"][1].update(seed="x"), "Expected `int`, got `str` - at `$.episodes[1].seed`"),
        (lambda v: v["episodes"][1].update(seed=-1), "episodes[1].seed = -1: expected a whole number >= 0"),
        (lambda v: v["episodes"][1].pop("return"), "Object missing required field `return` - at `$.episodes[1]`"),
        (lambda v: v["episodes"][1].update(actions=[]), "episodes[1].actions is empty, expected at least one"),
        (lambda v: v["episodes"][1].update(terminated=False), "episodes[1] neither terminated nor was truncated"),
        (lambda v: v["episodes"][1].update({"return": 3.0}), "episodes[1], seed 0, has return 41.0, expected 3.0"),
        (lambda v: v["episodes"][1].update(truncated=True), "episodes[1], seed 0, terminated after its 41 actions"),
        (lambda v: v["episodes"][1]["actions"].append(0), "episodes[1], seed 0, ended after 41 of its 42 actions"),
        (lambda v: v["episodes"][1]["actions"].pop(), "episodes[1], seed 0, went on after its 40 actions, expected"),
        (lambda v: v["episodes"][2].update(seed=0), "episodes[2], seed 0, ended after 43 of its 46 actions"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_line(file, change, line):
    assert refusal(edited(file, change)).startswith(line)


@pytest.mark.parametrize("action", [2, -1, "left", 0.5, None, True, 10**30, [1, 1]])
def test_illegal_actions_are_refused(file, action):
    edited(file, lambda values: values["episodes"][1]["actions"].__setitem__(3, action))
    assert "episodes[1], seed 0, actions[3] = " in (line := refusal(file))
    assert line.endswith("expected a whole number from 0 to 1")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 10**5, b"[]", b'{"engram_recording": "one"}'])
def test_a_file_that_is_no_recording_is_refused_in_one_line(tmp_path, data):
    (tmp_path / "r.json").write_bytes(data)
    assert refusal(tmp_path / "r.json").endswith("expected a recording of episodes")


def test_files_that_cannot_be_read_or_written_are_named(tmp_path):
    error = refusal(tmp_path / "no.json")
    assert "No such file or directory" in error
    assert error.endswith("expected a recording of episodes")
    with pytest.raises(ValueError, match=r"r\.json: cannot be written \(No such file or directory\)"):
        write_recording(tmp_path / "no" / "r.json", Recording("CartPole-v1", {}, ()))


def test_a_recording_replaces_another_file_only_with_force(tmp_path):
    path, recording = tmp_path / "r.json", Recording("CartPole-v1", {}, ())
    path.write_text("mine")
    with pytest.raises(ValueError, match=r"r\.json already exists"):
        write_recording(path, recording)
    assert path.read_text() == "mine"
    write_recording(path, recording, force=True)
    assert json.loads(path.read_text())["env"] == "CartPole-v1"


def test_a_recording_takes_no_settings(file):
    with pytest.raises(ValueError, match="best: no such setting, expected none"):
        external(f"human:{file}", {"best": 3}, run("CartPole-v1"))


def test_settings_that_differ_from_the_defaults_are_found():
    config = run("rooms", env_={"layout": "four", "slip": 0.2}).env_settings
    assert changed_settings(config) == {"layout": "four", "slip": 0.2}


def test_a_file_that_changes_between_planning_and_playing_fails_its_cell(file):
    config = external(f"human:{file}", {}, run("CartPole-v1"))
    edited(file, lambda values: values["episodes"][0].update({"return": 7.0}))
    with pytest.raises(ValueError, match=r"episodes\[0\], seed 0, has return"):
        play_external(config, lambda: None)
