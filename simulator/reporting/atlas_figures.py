"""Pictures of an atlas: each map of states beside the map of rooms, in the same colours, and the tree of ``hac``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from simulator.core.protocols import Array
from simulator.reporting.atlas import leaves
from simulator.reporting.figures import COLOURS, INK, Ax, LegendEntry, Margin, Panel, Picture, Size
from simulator.views.atlas_groups import Groups, groups_of, shown_as

SIDE = 2.9  # inches of a plot
MARGIN = Margin(0.5, 0.45, 0.25, 0.35)
GREY = "#b9b9c0"  # states of no group
WALL = "#5a5a64"
DARK = 0.5  # mean of the colours of a room, below which its number is white
MAX_LEGEND = 12  # groups with a line of their own
MAX_BRANCHES = 30  # of a tree that are drawn
COLOUR_MAP = "viridis"
MANY = "tab20"  # colours of more groups than COLOURS


def pictures_of(data: Mapping[str, Any]) -> list[Picture]:
    """Return the pictures of an atlas: the map of rooms first, then every map of states in the same colours.

    Where states are coloured by their cluster, each map of states has colours and a map of rooms of its own.

    Args:
        data: the JSON object of ``engram atlas``.
    """
    if data["color"] == "cluster":
        return [_picture(data, [found]) for found in data["maps"]]
    return [_picture(data, data["maps"])]


def _picture(data: Mapping[str, Any], maps: Sequence[Mapping[str, Any]]) -> Picture:
    """Put maps of states whose colours are the same beside the map of rooms, and the trees behind them."""
    groups = groups_of(data, maps[0])
    colours = colours_of(data, groups)
    size = Size(SIDE, SIDE)
    panels = []
    if data["map"] is not None:
        panels.append(Panel("", size, MARGIN, lambda ax: _paint_map(ax, data, colours)))
    for found in maps:
        panels.append(Panel(_title(found), size, MARGIN, partial(_paint_plane, found=found, colours=colours)))
    for found in maps:
        if found["tree"] is not None:
            panels.append(Panel("the tree of hac", size, MARGIN, partial(_paint_tree, found=found)))
    said = shown_as(data)
    note = f"{said[0].upper()}{said[1:]}."
    return Picture("atlas", data["atlas"], note, panels, _legend(groups))


def _title(found: Mapping[str, Any]) -> str:
    if found["neighbours"] is not None:
        return f"{found['method']}, trustworthiness {found['neighbours']['trustworthiness']:.3f}"
    if found["agreement"] is not None:
        return f"{found['method']}, adjusted Rand index {found['agreement']:.2f}"
    return str(found["method"])


def colours_of(data: Mapping[str, Any], groups: Groups) -> Array:
    """Return the colour of every state, float64 [N, 4]: of a number by its place between the extremes."""
    import matplotlib as mpl
    from matplotlib.colors import Normalize, to_rgba

    colours = np.tile(to_rgba(GREY), (len(groups.of_state), 1))
    known = groups.of_state >= 0
    if groups.is_number:
        key = {"value": "values", "step": "steps"}.get(data["color"], data["color"])
        numbers = np.asarray(data[key], np.float64)
        scale = Normalize(numbers[known].min(), numbers[known].max()) if known.any() else Normalize(0, 1)
        colours[known] = mpl.colormaps[COLOUR_MAP](scale(numbers[known]))
        return colours
    palette = np.array([to_rgba(_colour(groups, k)) for k in range(len(groups.names))]).reshape(-1, 4)
    colours[known] = palette[groups.of_state[known]]
    return colours


def _colour(groups: Groups, group: int) -> Any:
    import matplotlib as mpl

    n = len(groups.names)
    if groups.is_number:
        return mpl.colormaps[COLOUR_MAP](group / max(n - 1, 1))
    return COLOURS[group] if n <= len(COLOURS) else mpl.colormaps[MANY](group % 20)


def _legend(groups: Groups) -> list[LegendEntry]:
    from matplotlib.colors import to_hex

    entries = [LegendEntry(name, to_hex(_colour(groups, k)), "-", 6.0) for k, name in enumerate(groups.names)]
    if len(entries) > MAX_LEGEND:
        return [*entries[:MAX_LEGEND], LegendEntry(f"{len(entries) - MAX_LEGEND} more", GREY, "-", 6.0)]
    return entries


def _paint_plane(ax: Ax, found: Mapping[str, Any], colours: Array) -> None:
    points = np.asarray(found["plane"], np.float64)
    area = float(np.clip(2_500 / len(points), 4, 30))
    ax.scatter(points[:, 0], points[:, 1], s=area, c=colours, linewidths=0.3, edgecolors=INK)
    ax.set_xlabel(found["axes"][0])
    ax.set_ylabel(found["axes"][1])
    ax.set(xticks=[], yticks=[])


def _paint_map(ax: Ax, data: Mapping[str, Any], colours: Array) -> None:
    """Paint the cells of a grid, or the rooms of a graph; of several states at a place the first is seen."""
    places = np.asarray(data["places"])
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    if data["map"]["walls"] is None:
        rooms = np.asarray(data["map"]["rooms"], np.float64)
        for first, second in np.asarray(data["map"]["doors"], np.int64).reshape(-1, 2):
            ax.plot(*rooms[[first, second]].T, color=GREY, linewidth=1.0, zorder=0)
        at = rooms[np.maximum(places[:, 0], 0)]
        ax.scatter(at[:, 0], at[:, 1], s=160, c=colours, edgecolors=INK, linewidths=0.6)
        for room, colour in zip(places[:, 0], colours, strict=True):
            ink = "white" if colour[:3].mean() < DARK else INK
            ax.annotate(str(room), rooms[room], ha="center", va="center", fontsize=7, color=ink)
        ax.margins(0.12)
        return
    from matplotlib.colors import to_rgba

    walls = np.asarray(data["map"]["walls"], np.bool_)
    picture = np.where(walls[..., None], to_rgba(WALL), (1.0, 1.0, 1.0, 1.0))
    inside = (places >= 0).all(axis=1)
    for state in np.flatnonzero(inside)[::-1]:
        picture[places[state][0], places[state][1]] = colours[state]
    ax.imshow(picture, interpolation="nearest")


def _paint_tree(ax: Ax, found: Mapping[str, Any]) -> None:
    from scipy.cluster.hierarchy import dendrogram

    tree = np.asarray(found["tree"], np.float64)
    n_clusters = int(found["n_clusters"])
    n_states = len(tree) + 1
    labels = np.asarray(found["clusters"])
    shown = max(n_clusters, min(MAX_BRANCHES, n_states))

    def colour(node: int) -> str:
        inside = np.unique(labels[leaves(tree, node)])
        return COLOURS[inside[0] % len(COLOURS)] if len(inside) == 1 else INK

    dendrogram(tree, p=shown, truncate_mode="lastp", ax=ax, no_labels=True, link_color_func=colour)
    ax.set_ylabel(f"{found['facts']['linkage']} distance")
    ax.set_xlabel(f"{shown} branches of {n_states:,} states; a colour is a cluster")
