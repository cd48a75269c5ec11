"""Tests of the commands that make again what a window shows: each reads back as the same experiment."""

from __future__ import annotations

import shlex

import pytest

from simulator.commands.live.recipe import recipe, run_words, tournament_words
from simulator.commands.main import command_of, main, parsed_args
from simulator.commands.run import config_sources
from simulator.commands.tournament import config_sources as tournament_sources
from simulator.config import tournament
from simulator.config.codec import assemble, of_record
from simulator.config.run import RunConfig, build
from simulator.config.tournament import TournamentConfig
from simulator.store.run_store import Store
from simulator.training import loop
from simulator.training.fork import fork

ROOMS = {"seeds": 2, "steps": 200, "agent": {"name": "q_learning"}, "env": {"name": "rooms"}, "threads": 1}
EDITABLE = {"name": "rooms", "layout": "four", "editable": True}


def _read(line):
    """Read a command line as the program does; the config of its run."""
    words = shlex.split(line)
    assert words[:2] == ["engram", "run"]
    return assemble(RunConfig, config_sources(parsed_args(command_of("run"), words[2:])))


def _train(lab, **more):
    with Store(lab) as store:
        *_, last = loop.run(build({**ROOMS, **more}), store)
    return last.id


@pytest.fixture
def lab(tmp_path):
    return str(tmp_path / "lab")


@pytest.mark.parametrize(
    ("agent", "env", "more", "expected"),
    [
        ({"name": "q_learning"}, {"name": "rooms"}, {}, "q_learning rooms --seeds 8 --steps 50000"),
        (
            {"name": "q_learning", "step_size": 0.3, "explore": {"epsilon_end": 0.01}},
            {"name": "rooms", "layout": "maze", "size": 19},
            {"seeds": 16, "first_seed": 5, "eval_every": 1000},
            "q_learning rooms --seeds 16 --steps 50000 --first-seed 5 --eval-every 1000 --agent.step-size 0.3 "
            "--agent.explore.epsilon-end 0.01 --env.layout maze --env.size 19",
        ),
        (
            {"name": "dqn", "recurrence": {"name": "lstm", "units": 32}, "network": {"hidden": [64, 32]}},
            {"name": "repeat_previous"},
            {},
            "dqn repeat_previous --seeds 8 --steps 50000 --agent.recurrence lstm --agent.recurrence.units 32 "
            "--agent.network.hidden 64,32",
        ),
        (
            {"name": "q_learning", "model": {"name": "table", "planning": "prioritized"}},
            EDITABLE,
            {"changes": ["100 wall 3 4", "200 epsilon 0.01"]},
            "q_learning rooms --seeds 8 --steps 50000 --agent.model table --agent.model.planning prioritized "
            "--env.layout four --env.editable true --changes '100 wall 3 4' '200 epsilon 0.01'",
        ),
    ],
)
def test_a_run_is_written_with_what_differs_from_the_defaults(agent, env, more, expected):
    config = build({"agent": agent, "env": env, **more})
    line = shlex.join(["engram", *run_words(config)])
    assert line == f"engram run {expected}"
    assert _read(line) == config


def test_a_trained_run_is_made_again_from_its_lab(lab):
    run = _train(lab, agent={"name": "q_learning", "gamma": 0.8})
    assert recipe(lab, run) == "engram run q_learning rooms --seeds 2 --steps 200 --agent.gamma 0.8"


def test_a_run_that_began_with_another_says_with_which(lab):
    first = _train(lab)
    onward = recipe(lab, first, onward=True)
    assert onward == f"engram run q_learning rooms --seeds 2 --steps 200 --from {first} --lab {lab}"
    assert _read(onward).start == first
    second = _train(lab, start=first)
    line = recipe(lab, second)
    with Store(lab) as store:
        assert _read(line).start == of_record(RunConfig, store.find(second)).start
    assert f" --from '{lab}/{first}#" in line  # as the shell reads it


def test_a_fork_is_the_run_with_all_its_changes(lab):
    run = _train(lab, env=EDITABLE, changes=["50 wall 3 4", "150 wall 3 5"])
    with Store(lab) as store:
        forked = fork(store, run, 100, ["120 reward 3 3 -0.5"])
    assert recipe(lab, forked).endswith(" --env.editable true --changes '50 wall 3 4' '120 reward 3 3 -0.5'")
    with Store(lab) as store:
        assert _read(recipe(lab, forked)).changes == of_record(RunConfig, store.find(forked)).changes


def test_what_a_window_changed_is_in_the_command(lab):
    from simulator.core.snapshots import LiveChanges

    live = LiveChanges()
    with Store(lab) as store:
        snapshots = loop.run(build({**ROOMS, "env": EDITABLE}), store, live=live)
        run = next(snapshots).id
        live.make("wall 3 4")
        for _ in snapshots:
            pass
    assert recipe(lab, run).endswith("--changes '0 wall 3 4'")


def test_a_run_that_was_extended_is_reproduced(lab, capsys):
    run = _train(lab)
    assert main(["resume", run, "--steps", "300", "--lab", lab, "--view", "none"]) == 0
    capsys.readouterr()
    assert recipe(lab, run) == f"engram reproduce {run} --lab {lab}"


def test_a_run_that_is_gone_is_refused(lab):
    _train(lab)
    with pytest.raises(ValueError, match="r9"):
        recipe(lab, "r9")


def test_a_tournament_is_written_with_its_contestants():
    config = tournament.build(
        {
            "seeds": 4,
            "steps": 1000,
            "confidence": 0.9,
            "agent": {"slow": {"name": "q_learning", "step_size": 0.1}, "dqn": {"tuned": True}},
            "env": {"rooms": {"layout": "four"}, "cartpole": {"steps": 500}},
        }
    )
    words = tournament_words(config)
    assert shlex.join(words) == (
        "tournament --agents slow=q_learning dqn --envs rooms cartpole --seeds 4 --steps 1000 --confidence 0.9 "
        "--agent.slow.step-size 0.1 --agent.dqn.tuned true --env.rooms.layout four --env.cartpole.steps 500"
    )
    again = assemble(TournamentConfig, tournament_sources(parsed_args(command_of("tournament"), words[1:])))
    assert again == config


def test_a_stored_tournament_is_made_again(lab, capsys):
    words = ["tournament", "--agents", "q_learning", "--envs", "rooms", "--seeds", "2", "--steps", "100"]
    assert main([*words, "--lab", lab, "--view", "none"]) == 0
    capsys.readouterr()
    assert recipe(lab, "t1") == "engram tournament --agents q_learning --envs rooms --seeds 2 --steps 100"
