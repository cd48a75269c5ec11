"""Tests of exports: what the manual's player does with a file is what the agent itself does."""

from __future__ import annotations

import re
from typing import Any

import gymnasium
import numpy as np
import pytest

import simulator
from simulator.core import registry
from tests.helpers.paths import ROOT

QUICK = {"seeds": 3, "steps": 600, "eval_every": 600, "eval_episodes": 1}
TILES = {"box": {"kind": "tiles", "n_bins": 6}}
PLAYED = [
    ("q_learning", "FrozenLake-v1", {}),
    ("q_learning", "rooms", {"double": True}),
    ("q_learning", "Blackjack-v1", {}),
    ("q_learning", "CartPole-v1", {}),
    ("q_learning", "MountainCar-v0", TILES),
    ("td", "FrozenLake-v1", {}),
    ("td", "CartPole-v1", {}),
    ("dqn", "CartPole-v1", {"learning_starts": 50}),
    ("dqn", "FrozenLake-v1", {"learning_starts": 50, "dueling": True}),
    ("dqn", "MountainCar-v0", {"learning_starts": 50, "dueling": True, "normalize_obs": True}),
    ("reinforce", "CartPole-v1", {}),
    ("reinforce", "Pendulum-v1", {"max_episode_steps": 50}),
    ("hill_climbing", "CartPole-v1", {"network": {"hidden": [8], "activation": "tanh"}, "bias": True}),
    ("hill_climbing", "Pendulum-v1", {}),
    ("random_search", "FrozenLake-v1", {}),
]


CARRYING = [
    ("dqn", "rooms", {"recurrence": "gru", "recurrence.layers": 2, "dueling": True}),
    ("dqn", "CartPole-v1", {"recurrence": "lstm", "recurrence.layers": 2, "recurrence.last_reward": True}),
    ("dqn", "CartPole-v1", {"recurrence": "elman", "recurrence.skip": False, "recurrence.last_action": False}),
    ("reinforce", "Pendulum-v1", {"recurrence": "lstm", "recurrence.last_reward": True, "max_episode_steps": 20}),
]


def player(function: str = "act") -> Any:
    """Return the function ``act`` of the manual, or that for a recurrence, ``act_on``."""
    page = (ROOT / "docs/guides/python.md").read_text("utf-8")
    (text,) = re.findall(r"```python\n(import numpy as np\n\n\ndef act.*?)\npolicy = dict", page, re.DOTALL)
    (carrying,) = re.findall(r"```python\n(def act_on.*?)```", page, re.DOTALL)
    space: dict[str, Any] = {}
    exec(text + carrying, space)
    return space[function]


def carrying_trainer(agent: str, env: str, settings: dict[str, Any]) -> simulator.Trainer:
    """Make an agent with a recurrence whose weights, biases among them, are random and large."""
    cell = {
        name.removeprefix("recurrence."): value for name, value in settings.items() if name.startswith("recurrence.")
    }
    rest = {name: value for name, value in settings.items() if not name.startswith("recurrence")}
    recurrence = {"name": settings["recurrence"], "units": 5, **cell}
    trainer = simulator.Trainer(agent, env, agent_settings={**rest, "recurrence": recurrence}, seeds=2)
    made = trainer._session.agent
    net = made._learner.state.eval_net if agent == "dqn" else made.learner.policy.net
    net.params[...] = np.random.Generator(np.random.PCG64(0)).normal(size=net.params.shape)
    return trainer


def play_both(trainer: simulator.Trainer, step: Any, n_steps: int = 50) -> None:
    """Play episodes by ``Trainer.predict``, and hold ``step(obs, state, reward) -> (action, state)`` to its actions."""
    env = trainer._session.env
    obs, reward = np.array(env.observe())[1], 0.0
    begins, state, own = True, None, None
    for _ in range(n_steps):
        action, state = trainer.predict(obs, state, begins, seed=1, reward=reward)
        taken, own = step(obs, None if begins else own, reward)
        np.testing.assert_allclose(taken, action, rtol=1e-4, atol=1e-4)
        after = env.step(np.repeat(np.asarray(action)[None], 2, axis=0))
        obs, reward = after.obs[1].copy(), float(after.reward[1])
        begins = bool(after.terminated[1] | after.truncated[1])


@pytest.mark.parametrize(("agent", "env", "settings"), CARRYING)
def test_the_player_of_the_manual_carries_what_a_recurrence_carries(tmp_path, agent, env, settings):
    trainer = carrying_trainer(agent, env, settings)
    trainer.export(tmp_path / "policy.npz", seed=1)
    exported = dict(np.load(tmp_path / "policy.npz"))
    act_on = player("act_on")
    play_both(trainer, lambda obs, state, reward: act_on(exported, obs, state, reward))


@pytest.mark.optional
@pytest.mark.parametrize(("agent", "env", "settings"), CARRYING)
def test_an_onnx_model_carries_what_a_recurrence_carries(tmp_path, agent, env, settings):
    onnxruntime = pytest.importorskip("onnxruntime")
    trainer = carrying_trainer(agent, env, settings)
    trainer.export(tmp_path / "policy.onnx", seed=1)
    model = onnxruntime.InferenceSession(tmp_path / "policy.onnx")
    inputs = {each.name: each for each in model.get_inputs()}
    dtype = np.int64 if "int64" in inputs["observation"].type else np.float32
    junk = np.full((1, inputs["state"].shape[1]), np.nan, np.float32)  # an episode that begins forgets it

    def step(obs, state, reward):
        given = {"observation": np.array([obs], dtype), "episode_start": np.array([state is None])}
        given["state"] = junk if state is None else state
        if "reward" in inputs:
            given["reward"] = np.array([reward], np.float32)
        actions, after = model.run(["action", "next_state"], given)
        return actions[0], after

    play_both(trainer, step)


@pytest.mark.parametrize("ending", ["npz", "onnx"])
def test_a_policy_behind_an_encoder_is_refused_before_anything_is_written(tmp_path, ending):
    trainer = simulator.Trainer("dqn", "CartPole-v1", agent_settings={"encoder": {"name": "window", "k": 2}})
    with pytest.raises(ValueError, match=r"^agent.encoder = 'window' of dqn in CartPole-v1: expected none, a policy"):
        trainer.export(tmp_path / f"policy.{ending}", seed=0)
    assert not list(tmp_path.iterdir())


def observations(trainer: simulator.Trainer, env: str) -> list[Any]:
    """Collect some observations of the environment as an agent sees them."""
    space = trainer._session.env.spec.observation
    if isinstance(space, gymnasium.spaces.Discrete):
        return list(range(int(space.n)))[:60]
    made = gymnasium.make(env)
    made.action_space.seed(0)
    seen = [made.reset(seed=0)[0]]
    for _ in range(40):
        obs, _, terminated, truncated, _ = made.step(made.action_space.sample())
        seen.append(made.reset()[0] if terminated or truncated else obs)
    return seen


@pytest.mark.optional
@pytest.mark.parametrize(("agent", "env", "settings"), PLAYED)
def test_an_onnx_model_acts_as_the_player_of_the_manual(tmp_path, agent, env, settings):
    onnxruntime = pytest.importorskip("onnxruntime")
    trainer = simulator.Trainer(agent, env, agent_settings=settings, seeds=2).learn(300)
    trainer.export(tmp_path / "policy.onnx", seed=1)
    trainer.export(tmp_path / "policy.npz", seed=1)
    exported = dict(np.load(tmp_path / "policy.npz"))
    model = onnxruntime.InferenceSession(tmp_path / "policy.onnx")
    seen = observations(trainer, env)
    dtype = np.int64 if "int64" in model.get_inputs()[0].type else np.float32
    (actions,) = model.run(["action"], {"observation": np.array(seen, dtype)})
    act = player()
    np.testing.assert_allclose(actions, [act(exported, obs) for obs in seen], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("agent", "env", "settings"), PLAYED)
def test_the_player_of_the_manual_acts_as_the_agent(tmp_path, agent, env, settings):
    run = simulator.run(agent, env, lab=tmp_path / "lab", agent_settings=settings, **QUICK)
    trainer = run.trainer()
    act = player()
    policy = trainer._session.agent.policy()
    for seed in trainer.seeds:
        run.export(tmp_path / "policy.npz", seed=seed)
        exported = dict(np.load(tmp_path / "policy.npz"))
        assert (exported["agent"], exported["env"], exported["step"], exported["seeds"]) == (agent, env, 600, [seed])
        for obs in observations(trainer, env):
            action = act(exported, obs)
            rows = np.repeat(np.asarray(obs)[None], 3, axis=0)
            probs = policy.probs(np.asarray(obs)[None])
            if probs is None:
                np.testing.assert_allclose(action, policy.act(rows, np.ones(3, bool))[seed], rtol=1e-5, atol=1e-5)
            elif not _is_close_call(exported, policy, obs, seed):
                assert probs[seed, 0, action] > 0
            else:
                assert exported["legal"].shape[1] > action


def _is_close_call(exported: dict[str, Any], policy: Any, obs: Any, seed: int) -> bool:
    """Tell whether two values are as near as rounding: a sum in another order may prefer the other one."""
    values = policy.values(np.asarray(obs)[None])
    if values is None:
        return False
    legal = exported["legal"][obs if len(exported["legal"]) > 1 else 0]
    best = np.sort(values[seed, 0][legal])[-2:]
    return 0 < best[-1] - best[0] < 1e-5


def test_values_and_probabilities_are_those_of_the_policy(tmp_path):
    trainer = simulator.Trainer("q_learning", "FrozenLake-v1", seeds=2).learn(500)
    trainer.export(tmp_path / "policy.npz")
    with np.load(tmp_path / "policy.npz") as exported:
        assert exported["values"].shape == exported["policy"].shape == exported["q"].shape == (2, 16, 4)
        np.testing.assert_array_equal(exported["values"], exported["q"])
        np.testing.assert_allclose(exported["policy"].sum(axis=2), 1.0)
    for agent, kind, name in (("planner", "values", "values"), ("random_walk", "probabilities", "policy")):
        exported = simulator.Trainer(agent, "FrozenLake-v1").exported()
        assert exported.words["kind"] == kind
        assert exported.arrays[name].shape == (1, 16, 4)


def test_weights_load_into_a_module_of_torch(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    settings = {"learning_starts": 50, "network": {"hidden": [16, 8]}}
    trainer = simulator.Trainer("dqn", "CartPole-v1", seeds=2, agent_settings=settings).learn(200)
    trainer.export(tmp_path / "policy.safetensors", seed=1)
    state = load_file(tmp_path / "policy.safetensors")
    sizes = [(4, 16), (16, 8), (8, 2)]
    layers = [layer for n, m in sizes for layer in (torch.nn.Linear(n, m), torch.nn.ReLU())][:-1]
    module = torch.nn.Sequential(*layers)
    module.load_state_dict({key[8:]: value for key, value in state.items() if key.startswith("network.")})
    obs = 0.1 * np.random.Generator(np.random.PCG64(0)).normal(size=(30, 4)).astype(np.float32)
    values = trainer._session.agent.policy().values(obs)[1]
    np.testing.assert_allclose(module(torch.tensor(obs)).detach().numpy(), values, rtol=1e-4, atol=1e-5)


def test_networks_for_images_have_the_names_of_torch():
    settings = {"learning_starts": 5, "conv": {"kind": "tiny", "frames": 2}, "buffer_size": 64, "batch_size": 8}
    trainer = simulator.Trainer("dqn", LampImages, agent_settings=settings).learn(10)
    exported = trainer.exported(0)
    assert exported.words["encoding"] == "frames"
    assert exported.arrays["network.1.weight"].shape == (16, 2, 3, 3)
    assert exported.arrays["frames"] == 2


class LampImages(gymnasium.Env):
    """Shows a lamp that is on or off; the action says which it is."""

    observation_space = gymnasium.spaces.Box(0, 255, (8, 8), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def _see(self):
        self.lamp = int(self.np_random.integers(2))
        return np.full((8, 8), 255 * self.lamp, np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._see(), {}

    def step(self, action):
        reward = float(action == self.lamp)
        return self._see(), reward, bool(self.np_random.random() < 0.1), False, {}


def test_memories_are_those_that_the_benchmark_measured(tmp_path):
    memories = ["hopfield", "nearest_neighbor"]
    conditions = {"patterns": [3, 5], "corruption": ["flip:0.2"], "seeds": 2}
    result = simulator.recall(memories, "digits", lab=tmp_path / "lab", **conditions)
    result.export(tmp_path / "all.npz")
    result.export(tmp_path / "one.npz", seed=1)
    with np.load(tmp_path / "all.npz") as whole, np.load(tmp_path / "one.npz") as alone:
        assert whole["5.patterns"].shape == (2, 5, 64)
        np.testing.assert_array_equal(whole["3.patterns"], whole["5.patterns"][:, :3])
        np.testing.assert_array_equal(alone["hopfield.5.columns"], whole["hopfield.5.columns"][1])
        state = _flat_state(whole, "hopfield.5.")
    player = registry.load("memories", "hopfield")
    with np.load(tmp_path / "all.npz") as whole:
        from simulator.core.memories import PatternSpec

        memory = player.make(PatternSpec((8, 8)), [0, 1], player.Config())
        memory.store(whole["5.patterns"])
    own = memory.state()
    for name, value in state.items():
        np.testing.assert_array_equal(value, np.asarray(own[name]))


def _flat_state(file: Any, start: str) -> dict[str, Any]:
    return {name.removeprefix(start): file[name] for name in file if name.startswith(start)}


def test_files_of_others_are_not_replaced(tmp_path, engram, monkeypatch):
    monkeypatch.chdir(tmp_path)
    simulator.run("q_learning", "rooms", **QUICK)
    for name in ("policy.npz", "policy.safetensors", "policy.onnx"):
        written = engram("export", "latest", name, "--seed", "2", "--json").json
        assert written["run"] == "r1"
        assert written["arrays"]["q"] == {"dtype": "float64", "shape": [6, 6]}
        first = (tmp_path / name).read_bytes()
        engram("export", "r1", name, "--seed", "2")
        assert (tmp_path / name).read_bytes() == first
        (tmp_path / name).write_text("mine")
        assert "already exists" in engram("export", "r1", name, code=2).err
        engram("export", "r1", name, "--seed", "2", "--force")
    np.savez(tmp_path / "mine.npz", x=np.zeros(3))
    assert "already exists" in engram("export", "r1", "mine.npz", code=2).err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("r9", "policy.npz"), "r9"),
        (("r1", "policy.txt"), "expected a file that ends in .npz, .safetensors or .onnx"),
        (("r1", "policy.onnx"), "holds the policy of one seed, expected --seed"),
        (("r1", "-"), "expected a file that ends in"),
        (("r1", "policy.npz", "--seed", "7"), "seed 7: expected one of 0, 1, 2"),
        (("r1",), "expected engram export RUN FILE"),
        (("r1", "lab/runs/policy.npz"), "it is inside the lab"),
        (("r1", "none/policy.npz"), "cannot be written"),
        (("r2", "policy.npz"), "its policy has no arrays"),
    ],
)
def test_what_cannot_be_exported_is_one_line(tmp_path, engram, monkeypatch, words, line):
    monkeypatch.chdir(tmp_path)
    simulator.run("q_learning", "rooms", **QUICK)
    simulator.run("random_walk", "Pendulum-v1", seeds=1, steps=10, eval_episodes=1)
    done = engram("export", *words, code=2)
    assert line in done.err
    assert not list(tmp_path.glob("policy*"))
