"""Tests of the terminal view of a run: exact text at several widths, and untrusted text."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rich.console import Console

from envs.common.gridworld.layouts import NAMES
from envs.rooms import Config as rooms_config  # noqa: N813 - a function here
from simulator.core import registry
from simulator.core.mdp.solve import value_iteration
from simulator.core.protocols import AgentView, Curve, Evaluation, Failure
from simulator.views.controls import Controls
from simulator.views.grid import MEANINGS
from simulator.views.run import page_of, plain_line, terminal_view
from simulator.views.style import TerminalStyle
from tests.helpers.snapshots import graph, grid, snapshot

GOLDEN = Path(__file__).parent / "golden"
PAGES = {
    "grid-80": ((80, 40), TerminalStyle(), grid()),
    "graph-80": ((80, 40), TerminalStyle(), graph()),
    "grid-40": ((40, 30), TerminalStyle(), grid()),
    "graph-ascii-60": ((60, 30), TerminalStyle(ascii=True), graph()),
}
KEYS = Controls(10.0, keys=("space pause", "n one step", "+ - speed", "f full speed", "q stop"))
STYLES = (TerminalStyle(colour=True), TerminalStyle(), TerminalStyle(ascii=True))


def _page(name: str) -> str:
    size, look, picture = PAGES[name]
    return page_of(snapshot(picture=picture), snapshot(step=500, training_seconds=1.5), size, look).plain


@pytest.mark.parametrize("name", PAGES)
def test_golden_text(name):
    text = _page(name)
    assert [line.rstrip() for line in text.splitlines()] == (GOLDEN / f"{name}.txt").read_text("utf-8").splitlines()
    assert max(map(len, text.splitlines())) < PAGES[name][0][0]
    if "ascii" in name:
        assert text.isascii()


def test_a_seed_that_failed_is_named_and_left_out():
    score = Evaluation(1_000, np.zeros((4, 0)), np.array([4.0, np.nan, 6.0, np.nan]))
    failed = (Failure(1, 1_234, "its loss was not finite"), Failure(3, 9, "its loss was not finite"))
    text = page_of(snapshot(evaluations=(score,), failed=failed), None, (80, 40), TerminalStyle()).plain
    assert "seed 1 failed at step 1,234: its loss was not finite, and 1 more" in text
    assert "IQM 5 " in text
    none_left = Evaluation(1_000, np.zeros((2, 0)), np.full(2, np.nan))
    nobody = snapshot(seeds=(1, 3), evaluations=(none_left,), failed=failed)
    assert "seed 1 failed" in plain_line(nobody)
    assert "IQM" not in page_of(nobody, None, (80, 40), TerminalStyle()).plain


@pytest.mark.parametrize("height", range(1, 15))
def test_a_short_terminal_leaves_out_what_matters_least(height):
    lines = page_of(snapshot(), None, (80, height), TerminalStyle(), KEYS).plain.splitlines()
    assert len(lines) <= max(height - 1, 3)  # name, progress and keys always
    assert lines[-1].startswith("10 steps/s")
    assert any("median over seeds" in line for line in lines) == (height >= 11)
    assert any("★████" in line for line in lines) == (height >= 6)


@pytest.mark.parametrize("style", STYLES, ids=["colour", "plain", "ascii"])
@pytest.mark.parametrize("layout", NAMES)
def test_every_layout_is_whole_at_80_by_24_and_every_sign_is_explained(layout, style):
    env = registry.load("envs", "rooms").make([0], rooms_config(layout=layout))
    env.reset()
    spec, scene = env.spec, env.scene(0)
    best = value_iteration(spec.mdp, spec.gamma)
    view = AgentView(scene, best.values, best.greedy, 0.5)
    one = snapshot(picture=view, random_score=spec.random_score, last_return=1.0, last_length=9)
    page = page_of(one, None, (80, 24), style, KEYS)
    lines = page.plain.splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 79
    assert lines[-1].endswith("q stop")
    assert page.plain.isascii() or not style.ascii
    legend = " ".join(line.split(scene.title)[-1] for line in lines)
    signs = "@G#" if style.ascii else "●★█"
    goal = next((mark.label for mark in scene.marks if mark.kind == "goal" and mark.label), signs[1])
    assert f"{signs[0]} agent" in legend
    assert f"{goal} goal" in legend
    if scene.walls is None:
        assert all(f"room {room} " in page.plain for room in range(len(scene.rooms)))
        return
    assert f"{signs[2]} wall" in legend
    assert all(MEANINGS[mark.kind] in legend for mark in scene.marks)
    title = next(n for n, line in enumerate(lines) if line.startswith(scene.title))
    rows = lines[title + 1 : title + 1 + len(scene.walls)]
    edge = signs[2] * 2 * scene.walls.shape[1]  # cells are two characters wide at least
    assert rows[0].startswith(edge)
    assert rows[-1].startswith(edge)
    assert all(row.startswith(signs[2] * 2) for row in rows)
    assert not re.search(r"rows \d|columns \d", page.plain)


@pytest.mark.parametrize(
    ("env", "meanings"),
    [
        ("FrozenLake8x8-v1", ["● agent", "★ goal", "▒ hole", "several are best"]),
        ("CliffWalking-v1", ["● agent", "★ goal", "▒ cliff, back to the start"]),
        ("Taxi-v4", ["● taxi", "R destination", "P passenger", "Y stand", "█ wall"]),
    ],
)
def test_environments_name_their_own_signs(env, meanings):
    one = registry.load("envs", env).make([0], registry.load("envs", env).Config())
    one.reset()
    best = value_iteration(one.spec.mdp, one.spec.gamma)
    view = AgentView(one.scene(0), best.values, best.greedy)
    page = page_of(snapshot(picture=view), None, (80, 24), TerminalStyle(), KEYS).plain
    assert all(meaning in page for meaning in meanings)


def test_what_to_look_at_is_said():
    learned = snapshot(random_score=-109.7, optimum=-13.0)
    text = page_of(learned, None, (80, 24), TerminalStyle()).plain
    assert "watch the return rise  random play -109.7, best possible -13" in text
    arrives = snapshot(random_score=99.9999967, optimum=100.0, picture=graph()._replace(q_error=3.2))
    text = page_of(arrives, None, (80, 24), TerminalStyle()).plain
    assert "random play arrives too: watch Q approach its exact values  max |Q - Q*| = 3.2" in text
    assert "return, mean of 4 seeds" in text
    text = page_of(arrives, None, (80, 24), TerminalStyle(), None, {0: 500.0, 900: 3.2}).plain
    assert "max |Q - Q*|, seed 0   ⠒ ⠒ exact 0" in text
    solved = snapshot(random_score=22.0, optimum=None, reward_threshold=475.0, picture=None)
    assert "random play 22, solved 475" in page_of(solved, None, (80, 24), TerminalStyle()).plain
    unknown = snapshot(random_score=None, optimum=None, picture=None)
    assert "random play" not in page_of(unknown, None, (80, 24), TerminalStyle()).plain


def test_a_slow_run_tells_the_time_at_its_speed_and_a_paused_one_none():
    slow = page_of(snapshot(), None, (80, 24), TerminalStyle(), Controls(10.0)).plain
    assert "1k of 2k steps, 1 min 40 s left" in slow
    paused = page_of(snapshot(), None, (80, 24), TerminalStyle(), Controls(10.0, paused=True)).plain
    assert "left" not in paused
    assert paused.splitlines()[-1] == "paused"


def test_plain_lines_elsewhere_are_few():
    out = io.StringIO()
    view = terminal_view(Console(file=out, width=80))
    for step in range(0, 2_001, 10):
        view.show(snapshot(step=step, phase="done" if step == 2_000 else "training"))
    view.close()
    lines = out.getvalue().splitlines()
    assert 10 <= len(lines) <= 12
    assert lines[-1].startswith("r1: 2,000 of 2,000 steps, 2.0 s, 4k steps/s, all seeds")
    assert "\x1b" not in out.getvalue()


def test_the_cursor_comes_back():
    out = io.StringIO()
    view = terminal_view(Console(file=out, width=80, height=40, force_terminal=True))
    view.show(snapshot())
    view.show(snapshot(phase="done"))
    view.close()
    text = out.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert text.rindex("\x1b[?25h") > text.rindex("q_learning")


def test_drawing_is_skipped_while_the_last_one_is_fresh(monkeypatch):
    drawn = []
    monkeypatch.setattr("simulator.views.run.page_of", lambda *_: drawn.append(1) or "")
    view = terminal_view(Console(file=io.StringIO(), width=80, force_terminal=True))
    for _ in range(200):
        view.show(snapshot())
    view.close()
    assert len(drawn) < 100


# up to 1e300, so that sums of a few stay numbers: rewards are float32
_floats = st.floats(-1e300, 1e300) | st.sampled_from([np.nan, np.inf, -np.inf])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    size=st.tuples(st.integers(1, 200), st.integers(1, 60)),
    ascii_only=st.booleans(),
    step=st.integers(0, 10**12),
    seconds=st.floats(0, 1e9),
)
def test_any_snapshot_can_be_drawn(data, size, ascii_only, step, seconds):
    n_seeds, n = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 6))
    mean = data.draw(hnp.arrays(np.float64, (n_seeds, n), elements=_floats))
    curve = Curve(np.arange(1, n + 1), mean, np.isfinite(mean).astype(np.int64))
    exact = data.draw(hnp.arrays(np.float64, n_seeds, elements=_floats))
    values = data.draw(hnp.arrays(np.float64, 3, elements=_floats))
    one = snapshot(
        seeds=tuple(range(n_seeds)),
        step=step,
        steps=10**12,
        seconds=seconds,
        curve=curve,
        evaluations=(Evaluation(step, np.zeros((n_seeds, 0)), exact),),
        metrics={"x": exact},
        picture=AgentView(graph().scene, values, None),
        optimum=data.draw(st.none() | _floats),
    )
    page = page_of(one, snapshot(), size, TerminalStyle(ascii=ascii_only))
    assert all(len(line) < max(size[0], 2) for line in page.plain.splitlines())
    assert "\n" not in plain_line(one)


def test_a_seed_that_broke_down_does_not_count_in_the_median():
    infinite = snapshot(metrics={"loss": np.array([np.inf, -np.inf, 0.5, 0.5])})
    assert "loss 0.5" in page_of(infinite, None, (100, 20), TerminalStyle()).plain
