"""Tests of saved stable-baselines3 models: weights are read, and no code of the file runs."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import pickle
import sys
import zipfile
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from simulator.core import registry
from simulator.external import sb3_weights_torch as files
from simulator.external.contestants import external, play_external
from tests.helpers import external_contestants
from tests.helpers.external_contestants import run

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("stable_baselines3") is None, reason="stable_baselines3 is not installed (extra bench)"
)
POLE = "CartPole-v1"
BOX4 = {":type:": "<class 'gymnasium.spaces.box.Box'>", "dtype": "float32", "_shape": [4]}
TWO = {":type:": "<class 'gymnasium.spaces.discrete.Discrete'>", "n": "2", "start": "0"}


class Payload:
    """An object whose pickle makes a file when it is decoded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


@pytest.fixture
def library(monkeypatch):
    """Install a small stand-in for stable-baselines3, so that files are read without the library."""
    for name, module in external_contestants.library().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("simulator.tournaments.plan.find_spec", lambda name: None)  # it has no version
    monkeypatch.delenv("ENGRAM_TRUST_FILES", raising=False)


def model(path: Path, weights: bytes = b"", **changes) -> Path:
    data = {
        "policy_class": {":type:": "<class 'abc.ABCMeta'>", "__module__": "stable_baselines3.dqn.policies"},
        "policy_kwargs": {},
        "observation_space": BOX4,
        "action_space": TWO,
        **changes,
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps(data))
        archive.writestr("policy.pth", weights)
    return path


def hostile(tmp_path: Path) -> tuple[Path, Path]:
    """Return a model that makes a file when any part of it is decoded, and that file."""
    trace = tmp_path / "it-ran"
    payload = pickle.dumps(Payload(trace))
    text = base64.b64encode(payload).decode()
    held = {":serialized:": text}
    changes = {
        "policy_class": {**held, "__module__": "stable_baselines3.dqn.policies"},
        "policy_kwargs": {":type:": "<class 'dict'>", **held},
        "observation_space": BOX4 | held,
        "action_space": TWO | held,
        "lr_schedule": held,
    }
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("policy/data.pkl", payload)
        archive.writestr("policy/version", "3\n")
    pickle.loads(payload)
    assert trace.exists()  # it does what it is here for
    trace.unlink()
    return model(tmp_path / "model.zip", inner.getvalue(), **changes), trace


@pytest.mark.slow
def test_code_in_a_file_never_runs(library, tmp_path, monkeypatch, engram):
    path, trace = hostile(tmp_path)
    config = external(f"sb3:{path}", {}, run(POLE))  # planning believes what the file says of itself
    assert not trace.exists()
    with pytest.raises(ValueError, match=r"model\.zip: its weights cannot be read as tensors alone"):
        play_external(config, lambda: None)
    monkeypatch.chdir(tmp_path)
    words = ["tournament", "--agents", f"them=sb3:{path}", "random_walk", "--envs", POLE, "--seeds", "1"]
    words += ["--steps", "10", "--n-bootstrap", "100", "--workers", "1", "--view", "none", "--json"]
    failures = engram(*words, code=1).json["failures"]
    assert [each["contestant"] for each in failures] == ["them"]
    assert "cannot be read as tensors alone" in failures[0]["reason"]
    engram("show", "t1")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"policy_class": {"__module__": "evil.policies"}}, "its policy is of the module 'evil.policies'"),
        ({"policy_kwargs": {"features_extractor_class": "<class 'evil.Net'>"}}, "features_extractor_class"),
        ({"policy_kwargs": {"activation_fn": "<class 'evil.Tanh'>"}}, "its policy has activation_fn"),
        ({"observation_space": {":type:": "<class 'gymnasium.spaces.dict.Dict'>"}}, "its observations are of the kind"),
    ],
)
def test_settings_known_only_from_code_need_trust(library, tmp_path, monkeypatch, changes, reason):
    path = model(tmp_path / "model.zip", **changes)
    with pytest.raises(ValueError, match=rf"{reason}.*refused without --trust-files$"):
        external(f"sb3:{path}", {}, run(POLE))
    monkeypatch.setenv("ENGRAM_TRUST_FILES", "1")
    assert external(f"sb3:{path}", {}, run(POLE)).file == path


@pytest.mark.parametrize(("name", "limit"), [("data", "MAX_DATA"), ("policy.pth", "MAX_WEIGHTS")])
def test_too_large_members_are_refused_by_declared_and_by_actual_size(tmp_path, monkeypatch, name, limit):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(1 << 22))
    monkeypatch.setattr(files, limit, 1 << 20)
    read = (lambda: files.describe(path)) if name == "data" else (lambda: files._weights(path))
    with pytest.raises(ValueError, match=rf"its {name} unpacks to more than 1,048,576 bytes"):
        read()
    lie = path.read_bytes().replace((1 << 22).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    path.write_bytes(lie)
    with pytest.raises(ValueError, match="expected"):
        read()


def test_weights_that_are_packed_or_not_there_are_refused(tmp_path):
    import torch

    inner, packed = io.BytesIO(), io.BytesIO()
    torch.save({"a": torch.zeros(3)}, inner)
    with zipfile.ZipFile(inner) as plain, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in plain.infolist():
            archive.writestr(each.filename, plain.read(each))
    wide = io.BytesIO()
    torch.save({"a": torch.zeros(1).expand(10**12)}, wide)
    lost = io.BytesIO()
    torch.save({"a": torch.tensor([float("nan")])}, lost)
    for raw, said in (
        (packed, "packed twice"),
        (wide, "more numbers than the file holds"),
        (lost, "not finite"),
        (io.BytesIO(pickle.dumps({"a": 1})), "as tensors alone"),
    ):
        path = model(tmp_path / "model.zip", raw.getvalue())
        with pytest.raises(ValueError, match=said):
            files._weights(path)
    assert files._weights(model(tmp_path / "model.zip", inner.getvalue()))["a"].tolist() == [0.0] * 3


@pytest.mark.optional
@needs_library
@pytest.mark.parametrize("kind", ["PPO", "A2C", "DQN", "SAC", "TD3", "DDPG"])
@pytest.mark.parametrize("activation", [None, "ELU"])
def test_a_saved_model_acts_as_it_did(tmp_path, monkeypatch, kind, activation):
    """Two hidden layers of other sizes than usual, trained for a few steps."""
    import stable_baselines3
    import torch

    from simulator.external.evaluate import global_generators

    monkeypatch.delenv("ENGRAM_TRUST_FILES", raising=False)
    env = POLE if kind in ("PPO", "A2C", "DQN") else "Pendulum-v1"
    brief = {"n_steps": 64} if kind in ("PPO", "A2C") else {"learning_starts": 10, "buffer_size": 100, "batch_size": 8}
    own = {"net_arch": [9, 7]} | ({"activation_fn": getattr(torch.nn, activation)} if activation else {})
    with global_generators(0):
        saved = getattr(stable_baselines3, kind)("MlpPolicy", env, seed=1, device="cpu", policy_kwargs=own, **brief)
        saved.learn(30)
    saved.save(tmp_path / "model.zip")
    player = registry.load("envs", env)
    spec = player.make([0], player.Config()).spec
    obs = np.random.Generator(np.random.PCG64(0)).normal(size=(200, *spec.observation.shape)).astype(np.float32)
    policy = files.load(tmp_path / "model.zip", spec)
    np.testing.assert_array_equal(policy.predict(obs, deterministic=True)[0], saved.predict(obs, deterministic=True)[0])


class BlankImages(gymnasium.Env):
    """An environment with images, channels last."""

    observation_space = gymnasium.spaces.Box(0, 255, (36, 36, 1), np.uint8)
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        return np.zeros((36, 36, 1), np.uint8), {}

    def step(self, action):
        return np.zeros((36, 36, 1), np.uint8), 0.0, False, False, {}


@pytest.mark.optional
@needs_library
@pytest.mark.parametrize("kind", ["PPO", "DQN"])
def test_a_saved_model_of_images_acts_as_it_did(tmp_path, kind):
    import types

    import stable_baselines3

    from simulator.external.evaluate import global_generators

    small = {"features_extractor_kwargs": {"features_dim": 20}}
    brief = {"n_steps": 64} if kind == "PPO" else {"buffer_size": 10}
    with global_generators(0):
        saved = getattr(stable_baselines3, kind)("CnnPolicy", BlankImages(), device="cpu", policy_kwargs=small, **brief)
    saved.save(tmp_path / "model.zip")
    spec = types.SimpleNamespace(observation=BlankImages.observation_space, action=BlankImages.action_space)
    obs = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (20, 36, 36, 1)).astype(np.uint8)
    policy = files.load(tmp_path / "model.zip", spec)
    np.testing.assert_array_equal(policy.predict(obs, deterministic=True)[0], saved.predict(obs, deterministic=True)[0])
