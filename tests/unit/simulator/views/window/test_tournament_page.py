"""Tests of the window's page of a tournament: choosing cells, playing one, faults, and pictures."""

from __future__ import annotations

from math import nan
from pathlib import Path

import numpy as np
import pytest

from simulator.core.scene import CurvePanel, TextPanel
from simulator.core.snapshots import Standing, TournamentCell, TournamentSnapshot
from simulator.views.window.tournament_page import TournamentPage
from tests.helpers.drawings import check_picture, click, draw_page, press

pytest.importorskip("pygame")
pytestmark = pytest.mark.optional
GOLDEN = Path(__file__).parent / "golden"
STATUSES = ("done", "done", "failed", "running", "running", "waiting")


class Watched:
    """A tournament of two contestants in three environments, two cells each."""

    def __init__(self):
        self.fault = ""
        self.n_looks = 1
        self.closed = False
        self.cells = tuple(
            TournamentCell(
                contestant,
                f"env{k % 3}",
                (4 * (k // 3), 4),
                "run",
                STATUSES[k],
                "out of range" if STATUSES[k] == "failed" else "",
                "/scratch" if STATUSES[k] == "running" else "",
            )
            for contestant in ("dqn", "q_learning")
            for k in range(6)
        )
        rows = (
            Standing("dqn", "agent", 1, 0.9, 0.4, 1.5, 0.8, 0.7, 0.9, 2, 6),
            Standing("q_learning", "agent", 1, 0.2, -0.4, 0.9, 0.6, 0.4, 0.8, 2, 6),
            Standing("random", "agent", 2, -1.1, -2.0, -0.6, 0.0, 0.0, 0.0, 2, 6),
            Standing("a_name_that_is_much_too_long_for_its_column", "agent", None, nan, nan, nan, nan, nan, nan, 0, 6),
        )
        self.snapshot = TournamentSnapshot("t7", "running", 12, 4, 4, 2, 0, 75.0, 60.0, rows)

    def close(self):
        self.closed = True


class Played:
    """A cell that is played."""

    view = None
    status = "greedy episode 2 as of step 400"
    next_poll = 0.5

    def __init__(self):
        self.closed = False

    def poll(self):
        return False

    def close(self):
        self.closed = True


def known(cell):
    facts = TextPanel("this cell", {"contestant": cell.contestant, "challenge": cell.challenge, "status": cell.status})
    if cell.status != "running":
        return (facts,)
    return (facts, CurvePanel("evaluations", np.arange(4.0), np.array([[0.0, 1.0, 3.0, 4.0]]), ("mean",)))


def page_of(play=None):
    watched = Watched()
    page = TournamentPage(watched, known, play, lab="lab", clock=lambda: 0.0)
    page.poll()
    draw_page(page)
    return watched, page


def chosen(page):
    return page._tournament.cells[page._chosen]


def test_it_follows_what_runs_until_somebody_chooses():
    watched, page = page_of()
    assert chosen(page).status == "running"
    first = page._chosen
    cells = list(watched.cells)
    cells[first] = cells[first]._replace(status="done", folder="")
    watched.cells = tuple(cells)
    page._next_look = 0.0
    page.poll()
    assert page._chosen != first
    assert chosen(page).status == "running"
    press(page, "f")
    assert chosen(page).status == "failed"
    page._next_look = 0.0
    page.poll()
    assert chosen(page).status == "failed"


def test_cells_are_chosen_by_keys_and_by_the_mouse():
    _, page = page_of()
    click(page, page._places[0].center)
    assert page._chosen == 0
    press(page, "down")
    assert (chosen(page).contestant, chosen(page).challenge) == ("dqn", "env1")
    press(page, "right")
    assert chosen(page).seeds == (4, 4)
    running = set()
    for _ in range(4):
        press(page, "r")
        running.add(page._chosen)
        assert chosen(page).status == "running"
    assert len(running) == 4


def test_a_running_cell_is_played_and_let_go():
    played = []

    def play(cell):
        played.append(Played())
        return played[-1]

    watched, page = page_of(play)
    assert len(played) == 1
    draw_page(page)
    press(page, "f")
    assert played[0].closed
    press(page, "r")
    assert len(played) == 2
    page.close()
    assert played[1].closed
    assert watched.closed


def test_a_cell_without_a_checkpoint_is_asked_for_again():
    answers = [None, None, Played()]
    _, page = page_of(lambda cell: answers.pop(0))
    for _ in range(2):
        page._next_look = 0.0
        page.poll()
    assert not answers
    assert page._playing is not None


def test_a_fault_is_shown_and_the_standing_stays():
    watched, page = page_of()
    watched.fault = "lab: no lab there"
    watched.n_looks += 1
    page._next_look = 0.0
    assert page.poll()
    draw_page(page)
    assert page.command() == "engram watch t7 --lab lab"


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_pictures(scale):
    _, page = page_of()
    check_picture(draw_page(page, scale), GOLDEN / f"tournament-{scale:g}.png")


@pytest.mark.parametrize("size", [(480, 320), (1920, 1080)])
def test_every_size_is_drawn(size):
    _, page = page_of()
    draw_page(page, 1.0, size)
    page._tournament.cells = ()
    page._chosen = -1
    draw_page(page, 1.0, size)
