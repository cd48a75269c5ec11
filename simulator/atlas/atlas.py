"""Maps of states with what each keeps, as one object for tables, pictures and JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.atlas import measures
from simulator.atlas.methods import DEFAULT_CLUSTERS, METHODS, Found, Request
from simulator.atlas.states import States
from simulator.config.atlas import AtlasConfig
from simulator.core.embeddings.graph import signed
from simulator.core.protocols import Array
from simulator.core.scene import Scene

MIN_STATES = 3
_COLORS = ("class", "room", "value", "step")  # by default the first that is known


def atlas_of(states: States, config: AtlasConfig, seed: int) -> dict[str, Any]:
    """Make the maps that are asked for, and measure them.

    Args:
        states: what is drawn.
        config: the settings.
        seed: of everything random.

    Returns:
        The JSON object of ``engram atlas``.

    Raises:
        ValueError: too few states, or a method or colour that these states cannot have; one line.
    """
    _check(states, config)
    truth = states.classes if states.classes is not None else states.rooms
    n_truth = 0 if truth is None else len(np.unique(truth[truth >= 0]))
    n_clusters = config.clusters or (n_truth if n_truth > 1 else DEFAULT_CLUSTERS)
    if n_clusters > len(states):
        raise ValueError(f"--clusters {n_clusters}: {states.title}, expected at most as many clusters as states")
    request = Request(states, config, seed, n_clusters)
    maps = [_map(request, name, truth, n_truth) for name in dict.fromkeys(config.method)]
    return {
        "atlas": states.title,
        "kind": states.kind,
        "of": states.of,
        "seed": seed,
        "states": len(states),
        "color": _color(states, config),
        "values": states.values,
        "actions": states.actions,
        "action_names": states.action_names,
        "rooms": states.rooms,
        "classes": states.classes,
        "steps": states.steps,
        "visits": states.visits,
        "places": states.places,
        "map": None if states.scene is None else _map_of(states.scene),
        "maps": maps,
        "notes": states.notes,
    }


def _map_of(scene: Scene) -> dict[str, Any]:
    """Return what of a scene is the map: walls bool [H, W], or a graph of rooms."""
    if scene.walls is not None:
        return {"walls": scene.walls, "rooms": None, "doors": None}
    return {"walls": None, "rooms": scene.rooms, "doors": scene.doors}


def _check(states: States, config: AtlasConfig) -> None:
    if len(states) < MIN_STATES:
        raise ValueError(f"{states.title}: {len(states)} different states, expected at least {MIN_STATES} to draw")
    if not np.isfinite(states.vectors).all():
        n_bad = int((~np.isfinite(states.vectors)).any(axis=1).sum())
        raise ValueError(f"{states.title}, by {states.of}: numbers of {n_bad:,} states are not finite, expected others")
    if (states.vectors == states.vectors[0]).all():
        raise ValueError(f"{states.title}, by {states.of}: all states have the same numbers, expected another --of")
    if config.dims >= len(states):
        raise ValueError(f"--dims {config.dims}: {states.title}, expected less than the number of states")


def _color(states: States, config: AtlasConfig) -> str:
    """Return what states are coloured by.

    Raises:
        ValueError: it is not known of these states; one line.
    """
    known = {
        "value": states.values,
        "action": states.actions,
        "room": states.rooms,
        "class": states.classes,
        "step": states.steps,
        "visits": states.visits,
    }
    have = [name for name, numbers in known.items() if numbers is not None]
    if config.color == "auto":
        return next((name for name in _COLORS if name in have), "cluster")
    if config.color not in (*have, "cluster"):
        raise ValueError(
            f"--color {config.color}: not known of {states.title}, expected {', '.join([*have, 'cluster'])}"
        )
    return config.color


def _map(request: Request, name: str, truth: Array | None, n_truth: int) -> dict[str, Any]:
    states = request.states
    found = METHODS[name](request)
    points = states.vectors if found.points is None else found.points
    labels = found.labels
    if labels is None:
        labels = measures.clusters_of(points, request.n_clusters, request.random_state)
    near = steps = None
    if found.points is not None:
        near = measures.neighbours_kept(points, states.vectors, request.config.neighbors)
        if states.adjacency is not None:
            steps = measures.steps_kept(points, states.adjacency, request.config.neighbors)
    features = np.eye(labels.max() + 1)[labels] if found.points is None else found.points
    linear = measures.linear_quality(features, states.exact) if states.exact is not None else None
    plane, axes = plane_of(found, points)
    return {
        "method": name,
        "points": found.points,
        "plane": plane,
        "axes": axes,
        "clusters": labels,
        "n_clusters": int(labels.max()) + 1,
        "tree": found.tree,
        "neighbours": None if near is None else near._asdict(),
        "neighbours_by_steps": None if steps is None else steps._asdict(),
        "agreement": None if truth is None or n_truth < 2 else measures.agreement(labels, truth),
        "linear": None if linear is None else linear._asdict(),
        "facts": dict(found.facts),
    }


def plane_of(found: Found, points: Array) -> tuple[Array, tuple[str, str]]:
    """Return where to draw the states, float64 [N, 2], and the names of both axes.

    The first two numbers where these are the ones to look at, else the two directions of the largest variance.
    """
    if points.shape[1] == 1:
        return np.column_stack([points[:, 0], np.zeros(len(points))]), ("number 1", "")
    if points.shape[1] == 2 or found.ordered:
        return points[:, :2], ("number 1", "number 2")
    centred = points - points.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    shown = (sizes[:2] ** 2).sum() / max((sizes**2).sum(), np.finfo(np.float64).tiny)
    names = (f"first axis of {points.shape[1]}", f"second axis, {shown:.0%} of the variance in both")
    return signed(left[:, :2]) * sizes[:2], names
