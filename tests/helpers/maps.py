"""Random maps, as a strategy of hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from envs.common.gridworld.map_file import Map

NUMBERS = st.floats(-1e9, 1e9)
TITLES = st.text(st.characters(exclude_categories=("C", "Z")), max_size=30)


@st.composite
def maps(draw: Any) -> Map:
    """Return any map that can be read, even one that cannot be solved."""
    width = draw(st.integers(1, 7))
    symbols = st.sampled_from("## S G1~L")
    rows = draw(st.lists(st.text(symbols, min_size=width, max_size=width), min_size=1, max_size=6))
    rows.append("G" + "1" * (width - 1))
    return Map(
        tuple(rows),
        title=draw(TITLES),
        goal=draw(NUMBERS),
        others=(("1", draw(NUMBERS)),),
        lava=draw(NUMBERS),
        slippery=draw(st.floats(0, 1)),
        start=draw(st.sampled_from(["S", "random"])),
        step_cost=draw(st.floats(0, 1e9)),
        max_steps=draw(st.integers(0, 10**8)),
        cue=draw(st.sampled_from(["", "G1", "1G"])) if width > 1 else "",
    )
