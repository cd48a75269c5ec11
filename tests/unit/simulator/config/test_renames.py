"""Tests of renamed settings: stored runs are shown, reported, resumed, reproduced, or refused with a version."""

import pytest

from simulator import Trainer
from simulator import trainer as trainer_module
from simulator.config import codec, renames
from simulator.config import run as run_config
from simulator.config.renames import RenamedSetting
from simulator.config.run import RunConfig, build
from simulator.store import run_records
from simulator.store.run_store import Store
from simulator.training import loop

RUN = build(
    {
        "seeds": 2,
        "steps": 400,
        "eval_episodes": 3,
        "agent": {"name": "q_learning", "step_size": 0.3, "explore": {"epsilon_start": 0.2}},
        "env": {"name": "FrozenLake-v1"},
    }
)
CHANGES = (
    RenamedSetting("0.0.8", "agents", "quality", "rate", "step_size"),
    RenamedSetting("0.0.9", "agents", "*", "explore.epsilon", "explore.epsilon_start"),
    RenamedSetting("0.0.9", "agents", "*", "explore.shape", "explore.schedule", {"straight": "linear"}),
    RenamedSetting("0.0.9", "run", "", "budget", "steps"),
    RenamedSetting("0.0.9", "envs", "FrozenLake-v1", "frost", None, harmless=0),
    RenamedSetting("0.0.9", "agents", "quality", "", "q_learning"),
    RenamedSetting("0.0.9", "memories", "hopfield", "law", "rule"),
    RenamedSetting("0.0.9", "recall", "", "harm", "corruption"),
    RenamedSetting("0.0.9", "tournament", "", "budget", "steps"),
)
THEN = {
    "step_size = 0.3": "rate = 0.3",
    "epsilon_start = 0.2": "epsilon = 0.2",
    'schedule = "linear"': 'shape = "straight"',
    "steps = 400": "budget = 400",
    'name = "FrozenLake-v1"': 'name = "FrozenLake-v1"\nfrost = 0',
    'name = "q_learning"': 'name = "quality"',
}

QUALITY = {each: THEN[each] for each in ("step_size = 0.3", 'name = "q_learning"')}


def as_of_then(text, words):
    """Return settings as a former version wrote them."""
    for now, then in words.items():
        assert now in text
        text = text.replace(now, then, 1)
    return text


@pytest.fixture
def former(monkeypatch):
    """Return a function after which runs are begun as version 0.0.7 did."""

    def begin(words=THEN, version="0.0.7"):
        to_toml, digest = codec.to_toml, codec.hash_of

        def hashed(tables, own):
            import tomllib

            import tomli_w

            return digest(tomllib.loads(as_of_then(tomli_w.dumps(tables), words)), own)

        monkeypatch.setattr(run_records, "to_toml", lambda own: as_of_then(to_toml(own), words))
        monkeypatch.setattr(codec, "hash_of", hashed)
        installed = {**run_records.installed(), "engram-rl": version}
        monkeypatch.setattr(run_records, "_installed", lambda: installed)

    yield begin
    monkeypatch.undo()


def interrupted(lab, until=200):
    with Store(lab) as store:
        snapshots = loop.run(RUN, store)
        for snapshot in snapshots:
            if snapshot.step >= until:
                break
        snapshots.close()
        return snapshot.id


@pytest.mark.slow
def test_a_run_of_former_names_is_resumed_shown_reported_and_reproduced(tmp_path, engram, former, monkeypatch):
    former()
    run = interrupted(tmp_path)
    monkeypatch.undo()
    lab = ["--lab", str(tmp_path)]
    shown = engram("show", run, *lab, "--json").json  # without a table of changes it is reported, and still shown
    assert "rate = 0.3" in shown["settings"]
    assert "engram-rl 0.0.7 made it and can run it" in shown["settings_notes"][0]
    for command in ("resume", "reproduce"):
        assert "engram-rl 0.0.7 made it and can run it, this is " in engram(command, run, *lab, code=2).err
    monkeypatch.setattr(renames, "CHANGES", CHANGES)
    notes = engram("show", run, *lab, "--json").json["settings_notes"]
    assert "agent.rate is agent.step_size since version 0.0.8" in notes
    assert "agent.explore.shape is agent.explore.schedule since version 0.0.9, 'straight' is 'linear'" in notes
    assert len(notes) == len(THEN)
    (listed,) = engram("report", run, *lab, "--json").json["runs"]
    assert listed["settings"]["agent.step_size"] == 0.3
    assert "agent.rate" not in listed["settings"]
    done = engram("resume", run, *lab, "--json").json
    assert (done["status"], done["step"]) == ("done", 400)
    assert engram("reproduce", run, *lab, "--json").json["identical"]
    fresh = tmp_path / "fresh"
    with Store(fresh) as store:
        *_, last = loop.run(RUN, store)
    assert engram("show", last.id, "--lab", str(fresh), "--json").json["evaluation"] == done["evaluation"]


def test_a_dropped_setting_that_changed_something_is_refused(tmp_path, engram, former, monkeypatch):
    former({**THEN, 'name = "FrozenLake-v1"': 'name = "FrozenLake-v1"\nfrost = 3'})
    run = interrupted(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(renames, "CHANGES", CHANGES)
    lab = ["--lab", str(tmp_path)]
    said = engram("resume", run, *lab, code=2).err
    assert f"settings of {run}: env.frost = 3: version 0.0.9 dropped this setting; engram-rl 0.0.7 made it" in said
    assert "env.frost = 3" in engram("show", run, *lab, "--json").json["settings_notes"][0]
    assert engram("report", run, *lab, "--json").json["runs"][0]["steps"] == 400


def test_names_of_todays_version_are_left_alone(monkeypatch):
    monkeypatch.setattr(renames, "CHANGES", CHANGES)
    text = as_of_then(codec.to_toml(RUN), {"step_size = 0.3": "rate = 0.3"})
    with pytest.raises(ValueError, match=r"agent\.rate: no such setting"):
        codec.from_stored(RunConfig, text, "here", {"engram-rl": "0.0.9"})
    text = text.replace('"q_learning"', '"quality"').replace("level =", "epsilon =")
    assert codec.from_stored(RunConfig, text, "here", {"engram-rl": "0.0.7rc1"}) == RUN
    assert codec.from_stored(RunConfig, text, "here", {}) == RUN


def test_a_changed_setting_or_file_is_still_refused(tmp_path, former, monkeypatch):
    former()
    run = interrupted(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(renames, "CHANGES", CHANGES)
    other = build({**_tables(RUN), "steps": 500})
    with Store(tmp_path) as store, pytest.raises(ValueError, match="have changed since it began"):
        next(loop.run(other, store, run))
    monkeypatch.setattr(run_config, "files_of", lambda *args: [__file__])
    with Store(tmp_path) as store, pytest.raises(ValueError, match="have changed since it began"):
        next(loop.run(RUN, store, run))


def _tables(own):
    return codec.tables_of(own)


@pytest.mark.slow
def test_recall_benchmarks_and_tournaments_of_former_names(tmp_path, engram, monkeypatch):
    from simulator.store import hosting
    from simulator.store.cell_store import CellStore
    from simulator.tournaments import loop as tournament_loop

    lab = ["--lab", str(tmp_path), "--view", "none"]
    recall = ["recall", "hopfield", "random_bits", "--seeds", "2", "--patterns", "3", "--novel", "2"]
    tournament = ["tournament", "--agents", "random_walk", "--envs", "rooms", "--seeds", "2", "--steps", "300"]
    versions = {**run_records.installed(), "engram-rl": "0.0.7"}
    to_toml = codec.to_toml
    with monkeypatch.context() as then:
        words = {'rule = "hebb"': 'law = "hebb"', "corruption = [": "harm = ["}
        then.setattr(run_records, "installed", lambda: versions)
        then.setattr(run_records, "to_toml", lambda own: as_of_then(to_toml(own), words))
        then.setattr(run_records, "settings_hash", lambda own: "of then")
        run = engram(*recall, *lab, "--json").json["run"]
    with monkeypatch.context() as then:
        then.setattr(hosting, "installed", lambda: versions)
        then.setattr(hosting, "to_toml", lambda own: as_of_then(to_toml(own), {"steps = 300": "budget = 300"}))
        then.setattr(tournament_loop, "settings_hash", lambda own: "of then")
        engram(*tournament, "--workers", "1", *lab)
    lab = lab[:2]
    assert "no such setting" in engram("show", run, *lab, "--json").json["settings_notes"][0]
    assert "no such setting" in engram("show", "t1", *lab, "--json").json["settings_notes"][0]
    monkeypatch.setattr(renames, "CHANGES", CHANGES)
    shown = engram("show", run, *lab, "--json").json
    assert shown["contestants"] == ["hopfield"]
    assert len(shown["settings_notes"]) == 2
    assert engram("reproduce", run, *lab, "--json").json["identical"]
    assert engram("show", "t1", *lab, "--json").json["settings_notes"] == ["budget is steps since version 0.0.9"]
    assert engram("reproduce", "t1", "--workers", "1", *lab, "--json").json["identical"]
    assert engram("resume", "t1", "--workers", "1", *lab, "--json").json["tournament"] == "t1"
    with CellStore(tmp_path) as store:
        assert [each.name for each in store.tournaments()] == ["t1"]


def test_a_saved_trainer_of_former_names_is_loaded(tmp_path, monkeypatch):
    trainer = Trainer("q_learning", "FrozenLake-v1", agent_settings={"step_size": 0.3})
    trainer.learn(50)
    with monkeypatch.context() as then:
        to_toml = trainer_module.to_toml
        then.setattr(trainer_module, "to_toml", lambda own: as_of_then(to_toml(own), QUALITY))
        then.setattr(trainer_module, "installed", lambda: {"engram-rl": "0.0.7"})
        trainer.save(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"quality.*engram-rl 0.0.7 made it"):
        Trainer.load(tmp_path / "a.safetensors")
    monkeypatch.setattr(renames, "CHANGES", CHANGES)
    Trainer.load(tmp_path / "a.safetensors").save(tmp_path / "b.safetensors")
    trainer.save(tmp_path / "c.safetensors")
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()


def test_every_change_names_what_there_is():
    for change in renames.CHANGES:
        assert change.of in {"run", "recall", "tournament", "match", *renames._KINDS.values()}
        assert (change.player == "") == (change.of in {"run", "recall", "tournament", "match"})
