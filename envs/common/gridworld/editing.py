"""Edits of a map, one cell at a time, for environments that change while agents learn in them."""

from __future__ import annotations

from dataclasses import replace

from envs.common.gridworld.map_file import REWARD_LIMIT, Map
from simulator.core.protocols import CellEdit

SYMBOLS = {"free": " ", "wall": "#", "goal": "G", "lava": "L", "ice": "~"}  # of the cells that an edit can make
_FIXED = {"D": "a door", "K": "a key"}


def edited(plan: Map, edit: CellEdit) -> Map:
    """Return a map with another content of one cell.

    A cell that becomes something else pays what its symbol pays; ``reward`` leaves the symbol and changes what every
    step pays that ends there, one into a wall beside it too. Walls pay nothing, because nobody arrives there.

    Raises:
        ValueError: no such cell or content, or a door, a key or a goal of a cue, which stay; one line.
    """
    height = len(plan.rows)
    width = len(plan.rows[0])
    place = f"cell {edit.row} {edit.column}"
    if not (0 <= edit.row < height and 0 <= edit.column < width):
        raise ValueError(f"{place}: expected a row from 0 to {height - 1} and a column from 0 to {width - 1}")
    if edit.to != "reward" and edit.to not in SYMBOLS:
        raise ValueError(f"{place}: cannot become {edit.to!r}, expected {', '.join(SYMBOLS)} or reward")
    symbol = plan.rows[edit.row][edit.column]
    fixed = _FIXED.get(symbol) or (f"{symbol!r} of the cue" if symbol in plan.cue else "")
    if fixed or (plan.cue and symbol == "S"):
        raise ValueError(f"{place}: is {fixed or 'the start where the cue shows'}, which stays; expected another cell")
    others = tuple(cell for cell in plan.cell_rewards if cell[:2] != (edit.row, edit.column))
    if edit.to == "reward":
        if symbol == "#":
            raise ValueError(f"{place}: is a wall, where nobody arrives; expected another cell for a reward")
        if not abs(edit.reward) <= REWARD_LIMIT:
            raise ValueError(
                f"{place}: reward {edit.reward:g}: expected a number from -{REWARD_LIMIT:g} to {REWARD_LIMIT:g}"
            )
        return replace(plan, cell_rewards=tuple(sorted((*others, (edit.row, edit.column, edit.reward)))))
    row = plan.rows[edit.row]
    row = row[: edit.column] + SYMBOLS[edit.to] + row[edit.column + 1 :]
    rows = (*plan.rows[: edit.row], row, *plan.rows[edit.row + 1 :])
    return replace(plan, rows=rows, cell_rewards=others)
