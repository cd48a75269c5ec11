"""A saved model of stable-baselines3 read as what it is for playing: names, sizes and weights, none of its objects.

A model's file is a zip. Its member ``data`` is JSON in which whatever is no plain value is a pickle, written as text,
with a readable description beside it; a pickle can run code when it is decoded. Here it never is: which policy it is
follows from the module that the description names, its layers from the shapes of the weights, its activation from the
name that the description gives, and the spaces from the world, as far as the description agrees with it. Weights are
read as tensors alone. What cannot be told in this way is refused.
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

from simulator.core.protocols import Spec
from simulator.core.reading import readable_reason, why_unread

LIBRARY = "stable_baselines3"
NO_MODEL = f"expected a model that was saved by {LIBRARY}"
MOST = 1 << 29  # bytes of weights
SHARED = 4  # names that parts of a network have at most: an extractor of features is saved under up to three
MOST_DATA = 1 << 26  # bytes of the description
_FAMILIES = {"common": "actor-critic", "dqn": "dqn", "sac": "sac", "td3": "td3"}  # package of the policy -> its family
_ALGORITHMS = {"PPO": "common", "A2C": "common", "DQN": "dqn", "SAC": "sac", "TD3": "td3", "DDPG": "td3"}
_LAYERS = {  # family -> part of net_arch -> where its layers are, and whether the last of them is the output
    "actor-critic": {"pi": ("mlp_extractor.policy_net", False), "vf": ("mlp_extractor.value_net", False)},
    "dqn": {"": ("q_net.q_net", True)},
    "sac": {"pi": ("actor.latent_pi", False), "qf": ("critic.qf0", True)},
    "td3": {"pi": ("actor.mu", True), "qf": ("critic.qf0", True)},
}
_ACTIVATIONS = ("ReLU", "Tanh", "ELU", "LeakyReLU", "GELU", "SiLU", "Sigmoid", "Mish", "Softplus", "Identity")
_PLAIN = {  # settings of a policy that are taken as they are -> their type
    "share_features_extractor": bool,
    "normalize_images": bool,
    "use_sde": bool,
    "full_std": bool,
    "use_expln": bool,
    "squash_output": bool,
    "n_critics": int,
    "clip_mean": float,
}
_IRRELEVANT = {"net_arch", "ortho_init", "optimizer_class", "optimizer_kwargs", "log_std_init"}  # to playing
_EXTRACTORS = ("FlattenExtractor", "NatureCNN")


class NeedsTrust(ValueError):  # noqa: N818 - what is to be done about it
    """A file holds what can be had only by running code that is in it; one line."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}, which only running what the file contains can tell: refused without --trust-files")


class Described(NamedTuple):
    """What a model's file says of itself in plain text."""

    package: str  # of its policy's class, below the library
    settings: Mapping[str, Any]  # of the policy
    data: Mapping[str, Any]  # everything


def describe(path: Path) -> Described:
    """Read what a model's file says of itself; nothing of it is decoded further than JSON.

    Raises:
        ValueError: it is no such file, or too large; one line without the file's name.
        NeedsTrust: its policy is of no class that is known here.
    """
    page = _member(path, "data", MOST_DATA)
    try:
        data = json.loads(page)
        module = str(data["policy_class"]["__module__"]).split(".")
    except (KeyError, TypeError, RecursionError, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError(NO_MODEL) from None
    except ValueError as error:  # what Python says of a number that it would not read is advice for its own users
        raise ValueError(f"its data: {readable_reason(error)}; {NO_MODEL}") from None
    if len(module) < 2:
        raise ValueError(NO_MODEL)
    if module[0] != LIBRARY or module[1] not in _FAMILIES:
        raise NeedsTrust(f"its policy is of the module {'.'.join(module)[:80]!r}")
    settings = data.get("policy_kwargs") or {}
    if not isinstance(settings, dict):
        raise ValueError(NO_MODEL)
    return Described(module[1], settings, data)


def check(found: Described, spec: Spec) -> None:
    """Whether a described model plays in a world of these spaces, and can be built from what is known here.

    Raises:
        ValueError: its spaces are others.
        NeedsTrust: something about it is told only by its pickles.
    """
    _space(found.data, "observation", spec.observation)
    _space(found.data, "action", spec.action)
    _settings(found.settings)


def load(path: Path, spec: Spec, algorithm: str = "") -> Any:
    """The policy of a saved model, with its weights; ``predict`` gives its actions.

    Args:
        path: the model's file.
        spec: of the world that it is to play in.
        algorithm: the class that saved it, where the file is not to be asked.

    Raises:
        ValueError: the file is no model, damaged, or of another world; one line without the file's name.
        NeedsTrust: see :func:`check`.
    """
    found = describe(path)
    package = _ALGORITHMS.get(algorithm, found.package)
    observation = _space(found.data, "observation", spec.observation)
    action = _space(found.data, "action", spec.action)
    weights = _weights(path)
    settings = _settings(found.settings) | _sizes(_FAMILIES[package], weights)
    if package == "common" and "use_sde" not in settings:
        settings["use_sde"] = bool(found.data.get("use_sde", False))
    pictures = any(".cnn." in f".{name}" for name in weights)
    kind = "CnnPolicy" if pictures else "MlpPolicy"
    module = {"common": "ppo"}.get(package, package)
    try:
        policy = getattr(importlib.import_module(f"{LIBRARY}.{module}"), kind)(
            observation, action, _no_rate, **settings
        )
        policy.load_state_dict(weights)
    except (TypeError, ValueError, RuntimeError, AssertionError, KeyError) as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise NeedsTrust(f"its policy is no {kind} of {module.upper()} as it is known here ({said})") from None
    return policy


def _no_rate(_: float) -> float:
    return 0.0  # it learns no more


def _member(path: Path, name: str, most: int) -> bytes:
    """What a member of a zip holds, of no more bytes than are allowed, whatever it declares.

    Raises:
        ValueError: no such file or member, or too large.
    """
    if unread := why_unread(path):
        raise ValueError(f"{unread}, {NO_MODEL}")
    try:
        with zipfile.ZipFile(path) as archive:
            declared = archive.getinfo(name).file_size
            with archive.open(name) as member:
                held = b"" if declared > most else member.read(most + 1)
    except (OSError, KeyError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error):
        raise ValueError(NO_MODEL) from None
    if declared > most or len(held) > most:
        raise ValueError(f"its {name} unpacks to more than {most:,} bytes, expected a smaller model")
    return held


def _weights(path: Path) -> dict[str, Any]:
    """The policy's tensors by name.

    Raises:
        ValueError: there are none, they are not finite, or the file says of them what cannot be.
    """
    import torch

    raw = _member(path, "policy.pth", MOST)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            packed = [each for each in archive.infolist() if each.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise ValueError("its weights are packed twice, expected them as torch writes them")
        weights = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except ValueError:
        raise
    except Exception as error:  # torch has many kinds, and refuses objects by one of pickle's
        said = " ".join(str(error).split())[:120]
        raise ValueError(f"its weights cannot be read as tensors alone: {type(error).__name__}: {said}") from None
    if not isinstance(weights, Mapping) or not all(
        isinstance(name, str) and isinstance(each, torch.Tensor) for name, each in weights.items()
    ):
        raise ValueError("its weights are no tensors by name, " + NO_MODEL)
    if sum(each.numel() * each.element_size() for each in weights.values()) > SHARED * len(raw):
        raise ValueError("its weights declare more numbers than the file holds")
    if not all(bool(each.isfinite().all()) for each in weights.values()):
        raise ValueError("its weights are not finite")
    return dict(weights)


def _sizes(family: str, weights: Mapping[str, Any]) -> dict[str, Any]:
    """What the shapes of the weights tell of the network."""
    parts = {name: _widths(place, weights, own) for name, (place, own) in _LAYERS[family].items()}
    found: dict[str, Any] = {"net_arch": parts.get("", parts)}
    if family in ("sac", "td3"):
        found["n_critics"] = len({name.split(".")[1] for name in weights if name.startswith("critic.qf")})
    wide = [each for name, each in weights.items() if name.endswith("features_extractor.linear.0.weight")]
    if wide:
        found["features_extractor_kwargs"] = {"features_dim": int(wide[0].shape[0])}
    return found


def _widths(place: str, weights: Mapping[str, Any], with_output: bool) -> list[int]:
    """Units of the hidden layers at a place."""
    layers = {}
    for name, each in weights.items():
        at = re.fullmatch(re.escape(place) + r"\.(\d{1,4})\.weight", name)
        if at and each.dim() == 2:
            layers[int(at[1])] = int(each.shape[0])
    widths = [layers[i] for i in sorted(layers)]
    return widths[:-1] if with_output else widths


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a policy that its file gives in plain text.

    Raises:
        NeedsTrust: one of them is an object that is not known here by its name.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in (":type:", ":serialized:") or name in _IRRELEVANT:
            continue
        if name == "activation_fn":
            found[name] = _activation(value)
        elif name in _PLAIN and isinstance(value, _PLAIN[name]):
            found[name] = value
        elif name == "features_extractor_class" and _class_of(value, f"{LIBRARY}.common.torch_layers") in _EXTRACTORS:
            continue  # the policy's own
        elif name == "features_extractor_kwargs" and isinstance(value, dict) and value.keys() <= {"features_dim"}:
            continue  # the weights tell
        else:
            raise NeedsTrust(f"its policy has {name[:60]} = {str(value)[:80]!r}")
    return found


def _activation(value: Any) -> Any:
    name = _class_of(value, "torch.nn.modules.activation") or _class_of(value, "torch.nn.modules.linear")
    if name not in _ACTIVATIONS:
        raise NeedsTrust(f"its policy has activation_fn = {str(value)[:80]!r}")
    return getattr(importlib.import_module("torch.nn"), name)


def _class_of(value: Any, module: str) -> str:
    """The name of a class of a module, as Python writes it; empty where it is none."""
    found = re.fullmatch(rf"<class '{re.escape(module)}\.(\w+)'>", value if isinstance(value, str) else "")
    return found[1] if found else ""


def _space(data: Mapping[str, Any], what: str, ours: Any) -> Any:
    """The space that a model was made for, which is the world's but for where a picture's channels are.

    Raises:
        ValueError: it is another one.
        NeedsTrust: it is of a kind that plain text does not tell.
    """
    import gymnasium

    told = data.get(f"{what}_space")
    told = told if isinstance(told, dict) else {}
    kind = re.fullmatch(r"<class '(?:gymnasium|gym)\.spaces\.\w+\.(\w+)'>", str(told.get(":type:")))
    name = kind[1] if kind else ""
    if name == "Discrete":
        shown = f"Discrete({str(told.get('n'))[:20]})"
        if hasattr(ours, "n") and str(told.get("n")) == str(int(ours.n)) and str(told.get("start", 0)) == "0":
            return gymnasium.spaces.Discrete(int(ours.n))
        raise ValueError(f"its {what}s are {shown}, expected {ours}")
    if name != "Box" or not isinstance(told.get("_shape"), list):
        raise NeedsTrust(f"its {what}s are of the kind {str(told.get(':type:'))[:80]!r}")
    shape, shown = tuple(told["_shape"]), f"Box of shape {tuple(told['_shape'])}"
    own = tuple(ours.shape or ())
    if hasattr(ours, "n") or shape not in (own, (own[-1], *own[:-1]) if len(own) == 3 else own):
        raise ValueError(f"its {what}s are {shown}, expected {ours}")
    if what == "action":
        _check_bounds(told, ours)
        return ours
    low, high = (np.moveaxis(each, -1, 0) if shape != own else each for each in (ours.low, ours.high))
    if str(told.get("dtype")) != str(ours.dtype) and "uint8" in (str(told.get("dtype")), str(ours.dtype)):
        raise ValueError(f"its {what}s are {str(told.get('dtype'))[:20]} numbers, expected {ours.dtype}")
    return gymnasium.spaces.Box(low, high, shape, ours.dtype)


def _check_bounds(told: Mapping[str, Any], ours: Any) -> None:
    """Whether actions have the bounds that they had: some policies scale theirs to them."""
    for side in ("low", "high"):
        numbers = [float(each) for each in re.findall(r"[-+]?(?:inf|\d+\.?\d*(?:e[-+]?\d+)?)", str(told.get(side)))]
        wanted = np.asarray(getattr(ours, side), np.float64).ravel()
        same = len(numbers) == wanted.size and all(
            math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-7) for a, b in zip(numbers, wanted, strict=True)
        )
        if not same:
            raise ValueError(f"its actions have {side} = {str(told.get(side))[:60]}, expected {ours}")
