"""Scenes and panels: drawings as plain arrays.

Environments make a :class:`Scene`; agents and memories make panels of what is inside them. Views turn both into
characters or pixels; no player draws pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np


class Mark(NamedTuple):
    """One symbol on a cell.

    ``kind`` is walker, start, goal, door, key, lava, slippery, reward, cue, passenger, own or other.

    ``own`` and ``other`` are marks on a board, as the player who looks at it sees them.
    """

    row: int
    column: int
    kind: str
    label: str = ""


@dataclass(frozen=True)
class Scene:
    """A moment of one seed's environment.

    A grid gives ``walls``; a graph of rooms gives ``rooms`` and ``doors``; a machine gives ``lines``; a foreign
    environment gives ``image``.

    Attributes:
        title: what is shown, in a few words.
        walls: bool [H, W], or None.
        marks: symbols on cells of the grid.
        rooms: float [N, 2], a place in the unit square for every room, or None.
        doors: int [D, 2], pairs of rooms with a passage from the first to the second.
        walker: the room that the walker is in, where there are rooms.
        lines: float [L, 4], the ends x0, y0, x1, y1 of strokes in the unit square, y upwards, or None.
        image: uint8 [H, W, 3] for an environment that only draws itself, or None.
        places: int [N, 2] row and column (or room, 0) of every state; states not shown now have row -1.
        actions: what each action does: ``"up"``, ``"right"``, ``"down"``, ``"left"`` or ``"room 3"``; ``[A]``.
        facts: short name -> text, shown beside the picture.
        meanings: kind of a mark -> what it is here, where that is not the kind's own name: ``{"lava": "hole"}``.
        clicks: int [H, W], the action that a click on each cell of a board stands for, or None.
        row_names: names of the grid's rows, where it is a chart of states and no map: ``[H]``, or empty.
        column_names: names of its columns, ``[W]``, or empty.
        observed: what each number of a flat observation is, or empty.
    """

    title: str
    walls: np.ndarray | None = None
    marks: tuple[Mark, ...] = ()
    rooms: np.ndarray | None = None
    doors: np.ndarray | None = None
    walker: int = -1
    lines: np.ndarray | None = None
    image: np.ndarray | None = None
    places: np.ndarray | None = None
    actions: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    clicks: np.ndarray | None = None
    row_names: tuple[str, ...] = ()
    column_names: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()


@runtime_checkable
class ShowsEnds(Protocol):
    """An environment that can show how an episode ended, though the next one has begun."""

    def last_scene(self, index: int) -> Scene:
        """Make a scene of how the latest episode of seed number ``index`` ended.

        Some keep it only where the episode's ``scene`` was asked for: drawing takes long.
        """


@dataclass(frozen=True)
class HeatPanel:
    """A matrix as colours: a Q-table, weights, a correlation.

    Attributes:
        title: what is shown, in a few words.
        values: float [H, W]; NaN is left empty.
        rows: names of the rows, or empty.
        columns: names of the columns, or empty.
        diverging: True: colours part at 0, as for weights; False: from the smallest to the largest.
        fields: float [H, N, M] picture of each row's weights, shown under the pointer (a receptive field), or None.
    """

    title: str
    values: np.ndarray
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    diverging: bool = True
    fields: np.ndarray | None = None


@dataclass(frozen=True)
class BarPanel:
    """Named numbers as bars: action values of the moment, overlaps with patterns.

    Attributes:
        title: what is shown, in a few words.
        names: one for each bar.
        values: float [N].
        beside: float [N] to compare with, such as exact values or a posterior, or None.
        beside_name: what ``beside`` is.
        chosen: index of the bar that is marked, or -1.
    """

    title: str
    names: tuple[str, ...]
    values: np.ndarray
    beside: np.ndarray | None = None
    beside_name: str = ""
    chosen: int = -1


@dataclass(frozen=True)
class StripPanel:
    """Units over time, one column a step: the recurrent state and its gates over an episode.

    Attributes:
        title: what is shown, in a few words.
        values: float [T, N].
        rows: names of the units, or empty.
        cuts: steps at which the state was cut to zero.
        span: (lowest, highest) value of the colours.
    """

    title: str
    values: np.ndarray
    rows: tuple[str, ...] = ()
    cuts: tuple[int, ...] = ()
    span: tuple[float, float] = (-1.0, 1.0)


@dataclass(frozen=True)
class CurvePanel:
    """Lines over a common axis, with bands and levels.

    Attributes:
        title: what is shown, in a few words.
        x: float [P].
        y: float [K, P]; NaN where a line has no point.
        names: one for each line.
        low: float [K, P], the lower edge of each line's band, or None.
        high: float [K, P], likewise.
        levels: name -> height of a horizontal line, such as the optimum.
        x_name: what the axis counts.
        steps: True: values hold until the next point.
    """

    title: str
    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...] = ()
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    levels: Mapping[str, float] = field(default_factory=dict)
    x_name: str = ""
    steps: bool = False


@dataclass(frozen=True)
class PicturePanel:
    """Small pictures side by side: patterns, reconstructions, samples.

    Attributes:
        title: what is shown, in a few words.
        images: float [K, H, W] in ``span``, or uint8 [K, H, W, 3].
        captions: one for each picture, or empty.
        span: (lowest, highest) value of the colours.
        as_ink: True: from paper to ink, as patterns are printed; False: colours part at 0, as for weights.
        per_row: pictures side by side, as in a plane of codes; 0: one row.
    """

    title: str
    images: np.ndarray
    captions: tuple[str, ...] = ()
    span: tuple[float, float] = (-1.0, 1.0)
    as_ink: bool = False
    per_row: int = 0


@dataclass(frozen=True)
class PointPanel:
    """Points in a plane: codes, imagined transitions beside real ones.

    Attributes:
        title: what is shown, in a few words.
        points: float [N, 2].
        groups: int [N], the name that each point belongs to.
        names: one for each group.
        marked: index of the point that is marked, or -1.
        x_name: what the horizontal axis is.
        y_name: what the vertical axis is.
    """

    title: str
    points: np.ndarray
    groups: np.ndarray
    names: tuple[str, ...] = ()
    marked: int = -1
    x_name: str = ""
    y_name: str = ""


@dataclass(frozen=True)
class TextPanel:
    """Named facts, one a line."""

    title: str
    facts: Mapping[str, str]


Panel: TypeAlias = HeatPanel | BarPanel | StripPanel | CurvePanel | PicturePanel | PointPanel | TextPanel


@runtime_checkable
class HasPanels(Protocol):
    """An agent, a policy or a memory that shows what is inside it."""

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of seed number ``index``; changes nothing, draws from no stream."""


@runtime_checkable
class ShowsMoment(Protocol):
    """A policy, or an agent while it learns, that carries a state from step to step, and shows it."""

    def moment(self, index: int) -> Mapping[str, np.ndarray]:
        """Return what seed number ``index`` carries after its latest step, and the gates of that step.

        By name, float [N] each, the same names and sizes in every step: ``hidden``, ``cell``, ``input gate``,
        ``forget gate``, ``output gate``. Empty where nothing is carried. It changes nothing and draws from no stream.
        """


class TableUpdate(NamedTuple):
    """The latest update of a table."""

    obs: int  # number of the observation that was left: a discrete one itself, else its first feature
    action: int
    td_error: float  # before the update


@runtime_checkable
class ShowsUpdate(Protocol):
    """An agent that knows which entry of its table it updated last."""

    def last_update(self, index: int) -> TableUpdate | None:
        """Return the latest update of seed number ``index``; None before the first, and after the seed failed."""


def action_names(n: int) -> tuple[str, ...]:
    """Return names of n actions of which nothing else is known; :func:`named_actions` puts better ones in place."""
    return tuple(f"action {action}" for action in range(n))


def named_actions(panels: tuple[Panel, ...], actions: tuple[str, ...]) -> tuple[Panel, ...]:
    """Put the names that a scene has for actions in the place of those of :func:`action_names`."""
    names = dict(zip(action_names(len(actions)), actions, strict=True))

    def named(panel: Panel) -> Panel:
        if isinstance(panel, BarPanel):
            return replace(panel, names=tuple(names.get(name, name) for name in panel.names))
        if isinstance(panel, HeatPanel):
            rows = tuple(names.get(name, name) for name in panel.rows)
            return replace(panel, rows=rows, columns=tuple(names.get(name, name) for name in panel.columns))
        return panel

    return tuple(named(panel) for panel in panels)
