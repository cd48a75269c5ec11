"""Safe loading of saved stable-baselines3 models: only names, sizes and weights are read.

A model's file is a zip. Its member ``data`` is JSON in which every value that is not plain is a pickle, written as
text, with a readable description beside it; decoding a pickle can execute code. Here none is decoded: the policy
follows from the module in the description, its layers from the shapes of the weights, its activation from the name in
the description, and the spaces from the environment, as far as the description agrees with it. Weights are read as
tensors alone. Anything that cannot be inferred in this way is refused.
"""

from __future__ import annotations

import importlib
import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulator.core.files.reading import readable_reason, why_unread
from simulator.core.protocols import EnvSpec

LIBRARY = "stable_baselines3"
NO_MODEL = f"expected a model that was saved by {LIBRARY}"
MAX_WEIGHTS = 1 << 29  # bytes
MAX_NAMES = 4  # of one tensor: a features extractor is saved under up to three names
MAX_DATA = 1 << 26  # bytes of the description
_FAMILIES = {"common": "actor-critic", "dqn": "dqn", "sac": "sac", "td3": "td3"}  # package of the policy -> its family
_ALGORITHMS = {"PPO": "common", "A2C": "common", "DQN": "dqn", "SAC": "sac", "TD3": "td3", "DDPG": "td3"}


class Layers(NamedTuple):
    """The layers of a part of ``net_arch`` among the weights."""

    prefix: str
    with_output: bool  # the last of them is the output


_LAYERS = {  # family -> part of net_arch -> its layers
    "actor-critic": {
        "pi": Layers("mlp_extractor.policy_net", with_output=False),
        "vf": Layers("mlp_extractor.value_net", with_output=False),
    },
    "dqn": {"": Layers("q_net.q_net", with_output=True)},
    "sac": {"pi": Layers("actor.latent_pi", with_output=False), "qf": Layers("critic.qf0", with_output=True)},
    "td3": {"pi": Layers("actor.mu", with_output=True), "qf": Layers("critic.qf0", with_output=True)},
}
_ACTIVATIONS = ("ReLU", "Tanh", "ELU", "LeakyReLU", "GELU", "SiLU", "Sigmoid", "Mish", "Softplus", "Identity")
_PLAIN_SETTINGS = {  # of a policy -> their type
    "share_features_extractor": bool,
    "normalize_images": bool,
    "use_sde": bool,
    "full_std": bool,
    "use_expln": bool,
    "squash_output": bool,
    "n_critics": int,
    "clip_mean": float,
}
_TRAINING_SETTINGS = {"net_arch", "ortho_init", "optimizer_class", "optimizer_kwargs", "log_std_init"}
_EXTRACTORS = ("FlattenExtractor", "NatureCNN")


class NeedsTrust(ValueError):  # noqa: N818 - names the remedy
    """A model can be loaded only by executing code in its file; one line."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; loading it runs code in the file: refused without --trust-files")


class ModelDescription(NamedTuple):
    """The plain text of a model's file."""

    package: str  # of the policy's class, below the library
    settings: Mapping[str, Any]  # of the policy
    data: Mapping[str, Any]  # all of it


def describe(path: Path) -> ModelDescription:
    """Read the description of a model; nothing is decoded further than JSON.

    Raises:
        ValueError: it is no such file, or too large; one line without the file's name.
        NeedsTrust: its policy is of an unknown class.
    """
    page = _member(path, "data", MAX_DATA)
    try:
        data = json.loads(page)
        module = str(data["policy_class"]["__module__"]).split(".")
    except (KeyError, TypeError, RecursionError, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError(NO_MODEL) from None
    except ValueError as error:  # of a number that is too long for Python
        raise ValueError(f"its data: {readable_reason(error)}; {NO_MODEL}") from None
    if len(module) < 2:
        raise ValueError(NO_MODEL)
    if module[0] != LIBRARY or module[1] not in _FAMILIES:
        raise NeedsTrust(f"its policy is of the module {'.'.join(module)[:80]!r}")
    settings = data.get("policy_kwargs") or {}
    if not isinstance(settings, dict):
        raise ValueError(NO_MODEL)
    return ModelDescription(module[1], settings, data)


def check(description: ModelDescription, spec: EnvSpec) -> None:
    """Check that a model plays in an environment of these spaces, and can be built without its pickles.

    Raises:
        ValueError: its spaces are different.
        NeedsTrust: something about it stands only in its pickles.
    """
    _space(description.data, "observation", spec.observation)
    _space(description.data, "action", spec.action)
    _settings(description.settings)


def load(path: Path, spec: EnvSpec, algorithm: str = "") -> Any:
    """Load the policy of a saved model, with its weights; ``predict`` returns its actions.

    Args:
        path: the model's file.
        spec: of the environment in which it plays.
        algorithm: the class that saved it; empty: by its description.

    Raises:
        ValueError: the file is no model, corrupted, or of another environment; one line without the file's name.
        NeedsTrust: see :func:`check`.
    """
    description = describe(path)
    package = _ALGORITHMS.get(algorithm, description.package)
    observation = _space(description.data, "observation", spec.observation)
    action = _space(description.data, "action", spec.action)
    weights = _weights(path)
    settings = _settings(description.settings) | _sizes(_FAMILIES[package], weights)
    if package == "common" and "use_sde" not in settings:
        settings["use_sde"] = bool(description.data.get("use_sde", False))
    has_images = any(".cnn." in f".{name}" for name in weights)
    kind = "CnnPolicy" if has_images else "MlpPolicy"
    module = {"common": "ppo"}.get(package, package)
    try:
        policy = getattr(importlib.import_module(f"{LIBRARY}.{module}"), kind)(
            observation, action, _zero_learning_rate, **settings
        )
        policy.load_state_dict(weights)
    except (TypeError, ValueError, RuntimeError, AssertionError, KeyError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise NeedsTrust(f"its policy is no known {kind} of {module.upper()} ({reason})") from None
    return policy


def _zero_learning_rate(_: float) -> float:
    return 0.0


def _member(path: Path, name: str, max_bytes: int) -> bytes:
    """Read a member of a zip, at most ``max_bytes`` of it whatever it declares.

    Raises:
        ValueError: no such file or member, or too large.
    """
    if unread := why_unread(path):
        raise ValueError(f"{unread}, {NO_MODEL}")
    try:
        with zipfile.ZipFile(path) as archive:
            declared = archive.getinfo(name).file_size
            with archive.open(name) as member:
                content = b"" if declared > max_bytes else member.read(max_bytes + 1)
    except (OSError, KeyError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error):
        raise ValueError(NO_MODEL) from None
    if declared > max_bytes or len(content) > max_bytes:
        raise ValueError(f"its {name} unpacks to more than {max_bytes:,} bytes, expected a smaller model")
    return content


def _weights(path: Path) -> dict[str, Any]:
    """Read the policy's tensors by name.

    Raises:
        ValueError: there are none, they are not finite, or their declared sizes are impossible.
    """
    import torch

    raw = _member(path, "policy.pth", MAX_WEIGHTS)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            compressed = [entry for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
        if compressed:
            raise ValueError("its weights are packed twice, expected them as torch writes them")
        weights = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except ValueError:
        raise
    except Exception as error:  # torch raises many kinds, among them one of pickle's
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"its weights cannot be read as tensors alone: {type(error).__name__}: {reason}") from None
    if not isinstance(weights, Mapping) or not all(
        isinstance(name, str) and isinstance(weight, torch.Tensor) for name, weight in weights.items()
    ):
        raise ValueError("its weights are no tensors by name, " + NO_MODEL)
    if sum(weight.numel() * weight.element_size() for weight in weights.values()) > MAX_NAMES * len(raw):
        raise ValueError("its weights declare more numbers than the file holds")
    if not all(bool(weight.isfinite().all()) for weight in weights.values()):
        raise ValueError("its weights are not finite")
    return dict(weights)


def _sizes(family: str, weights: Mapping[str, Any]) -> dict[str, Any]:
    """Infer the sizes of the network from the shapes of the weights."""
    parts = {name: _widths(layers, weights) for name, layers in _LAYERS[family].items()}
    sizes: dict[str, Any] = {"net_arch": parts.get("", parts)}
    if family in ("sac", "td3"):
        sizes["n_critics"] = len({name.split(".")[1] for name in weights if name.startswith("critic.qf")})
    linear = [weight for name, weight in weights.items() if name.endswith("features_extractor.linear.0.weight")]
    if linear:
        sizes["features_extractor_kwargs"] = {"features_dim": int(linear[0].shape[0])}
    return sizes


def _widths(layers: Layers, weights: Mapping[str, Any]) -> list[int]:
    """Return the units of the hidden layers."""
    n_units = {}
    for name, weight in weights.items():
        index = re.fullmatch(re.escape(layers.prefix) + r"\.(\d{1,4})\.weight", name)
        if index and weight.dim() == 2:
            n_units[int(index[1])] = int(weight.shape[0])
    widths = [n_units[i] for i in sorted(n_units)]
    return widths[:-1] if layers.with_output else widths


def _settings(policy_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a policy that its file has in plain text.

    Raises:
        NeedsTrust: one of them is an unknown object.
    """
    kwargs: dict[str, Any] = {}
    for name, value in policy_kwargs.items():
        if name in (":type:", ":serialized:") or name in _TRAINING_SETTINGS:
            continue
        if name == "activation_fn":
            kwargs[name] = _activation(value)
        elif name in _PLAIN_SETTINGS and isinstance(value, _PLAIN_SETTINGS[name]):
            kwargs[name] = value
        elif name == "features_extractor_class" and _class_of(value, f"{LIBRARY}.common.torch_layers") in _EXTRACTORS:
            continue  # the default of the policy
        elif name == "features_extractor_kwargs" and isinstance(value, dict) and value.keys() <= {"features_dim"}:
            continue  # inferred from the weights
        else:
            raise NeedsTrust(f"its policy has {name[:60]} = {str(value)[:80]!r}")
    return kwargs


def _activation(value: Any) -> Any:
    name = _class_of(value, "torch.nn.modules.activation") or _class_of(value, "torch.nn.modules.linear")
    if name not in _ACTIVATIONS:
        raise NeedsTrust(f"its policy has activation_fn = {str(value)[:80]!r}")
    return getattr(importlib.import_module("torch.nn"), name)


def _class_of(value: Any, module: str) -> str:
    """Return the name of a class of a module from its repr; empty where it is none."""
    match = re.fullmatch(rf"<class '{re.escape(module)}\.(\w+)'>", value if isinstance(value, str) else "")
    return match[1] if match else ""


def _space(data: Mapping[str, Any], what: str, ours: Any) -> Any:
    """Return the space of a model: the environment's, but for the axis of an image's channels.

    Raises:
        ValueError: it is a different one.
        NeedsTrust: its kind is not described in plain text.
    """
    import gymnasium

    described = data.get(f"{what}_space")
    theirs = described if isinstance(described, dict) else {}
    kind = re.fullmatch(r"<class '(?:gymnasium|gym)\.spaces\.\w+\.(\w+)'>", str(theirs.get(":type:")))
    name = kind[1] if kind else ""
    if name == "Discrete":
        shown = f"Discrete({str(theirs.get('n'))[:20]})"
        if hasattr(ours, "n") and str(theirs.get("n")) == str(int(ours.n)) and str(theirs.get("start", 0)) == "0":
            return gymnasium.spaces.Discrete(int(ours.n))
        raise ValueError(f"its {what}s are {shown}, expected {ours}")
    if name != "Box" or not isinstance(theirs.get("_shape"), list):
        raise NeedsTrust(f"its {what}s are of the kind {str(theirs.get(':type:'))[:80]!r}")
    shape = tuple(theirs["_shape"])
    expected_shape = tuple(ours.shape or ())
    if hasattr(ours, "n") or shape not in (
        expected_shape,
        (expected_shape[-1], *expected_shape[:-1]) if len(expected_shape) == 3 else expected_shape,
    ):
        raise ValueError(f"its {what}s are Box of shape {shape}, expected {ours}")
    if what == "action":
        _check_bounds(theirs, ours)
        return ours
    low, high = (np.moveaxis(bound, -1, 0) if shape != expected_shape else bound for bound in (ours.low, ours.high))
    if str(theirs.get("dtype")) != str(ours.dtype) and "uint8" in (str(theirs.get("dtype")), str(ours.dtype)):
        raise ValueError(f"its {what}s are {str(theirs.get('dtype'))[:20]} numbers, expected {ours.dtype}")
    return gymnasium.spaces.Box(low, high, shape, ours.dtype)


def _check_bounds(theirs: Mapping[str, Any], ours: Any) -> None:
    """Check that the bounds of actions are the same: some policies scale their actions to them."""
    for side in ("low", "high"):
        numbers = [
            float(number) for number in re.findall(r"[-+]?(?:inf|\d+\.?\d*(?:e[-+]?\d+)?)", str(theirs.get(side)))
        ]
        wanted = np.asarray(getattr(ours, side), np.float64).ravel()
        same = len(numbers) == wanted.size and all(
            math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-7) for a, b in zip(numbers, wanted, strict=True)
        )
        if not same:
            raise ValueError(f"its actions have {side} = {str(theirs.get(side))[:60]}, expected {ours}")
