"""Tests of the page of play: which events act, when time goes on, and what is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pygame = pytest.importorskip("pygame")

from simulator.core.scene import Mark, Scene  # noqa: E402
from simulator.core.snapshots import ActionKey, PlaySnapshot, ScoreLevel  # noqa: E402
from simulator.views.window.app import Window  # noqa: E402
from simulator.views.window.play_page import PlayPage  # noqa: E402
from tests.helpers.drawn_pages import check_picture, draw_page  # noqa: E402

GRID = Scene("grid", walls=np.zeros((2, 2), np.bool_), actions=("left", "right"))
KEYS = (ActionKey("left", "left", 0), ActionKey("right", "right", 1), ActionKey("2", "dig", 2, legal=False))
BOARD = Scene(
    "board",
    walls=np.zeros((2, 2), np.bool_),
    marks=(Mark(0, 0, "own"), Mark(1, 1, "other")),
    actions=("1", "2", "3", "4"),
    clicks=np.array([[0, 1], [2, 3]]),
)


class Sitting:
    """A sitting that notes what it is asked."""

    def __init__(self, scene=GRID, pace=None, idle=None, ends_after=10**6):
        self.acted = []
        self.begun = 0
        self.over = False
        self._scene, self._pace, self._idle, self._ends_after = scene, pace, idle, ends_after
        self._since = 0

    def act(self, action):
        self.acted.append(action)
        self._since += 1

    def begin(self):
        self.begun += 1
        self._since = 0

    def idle(self):
        return self._idle

    def snapshot(self):
        return PlaySnapshot(
            id="r1",
            env="grid",
            name="human:ann",
            opponent="",
            scene=self._scene,
            seed=0,
            episode=self.begun,
            episodes=0,
            steps=self._since,
            total=1.0,
            second=None,
            last_reward=None,
            ended="terminated" if self._since >= self._ends_after else "",
            said="",
            refused=False,
            actions=KEYS,
            levels=(ScoreLevel("optimum", 2.0),),
            pace=self._pace,
        )


class Clock:
    """Seconds that only the test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def down(key, mod=0):
    return pygame.event.Event(pygame.KEYDOWN, key=key, mod=mod)


def up(key):
    return pygame.event.Event(pygame.KEYUP, key=key, mod=0)


@pytest.fixture
def window(monkeypatch, tmp_path):
    """Return a function that opens a window on a page, with no screen."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    opened = []

    def make(page):
        opened.append(Window(page, scale=1, folder=tmp_path))
        opened[-1].step(0.0)
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_a_key_of_an_env_of_turns_acts_once_however_long_it_is_held():
    game = Sitting()
    page = PlayPage(game, "")
    for _ in range(5):
        assert page.handle(down(pygame.K_RIGHT))
    assert game.acted == [1]
    page.handle(up(pygame.K_RIGHT))
    page.handle(down(pygame.K_RIGHT))
    page.handle(down(pygame.K_a))  # beside the arrows
    assert game.acted == [1, 1, 0]
    assert page.next_poll > 1.0  # it waits


def test_an_action_that_is_not_possible_is_asked_for_all_the_same_and_refused_there():
    game = Sitting()
    PlayPage(game, "").handle(down(pygame.K_2))
    assert game.acted == [2]


def test_keys_with_control_and_unknown_ones_are_left_to_the_window():
    game = Sitting()
    page = PlayPage(game, "")
    assert not page.handle(down(pygame.K_RIGHT, pygame.KMOD_CTRL))
    assert not page.handle(down(pygame.K_F1))
    assert not page.handle(down(pygame.K_q))
    assert game.acted == []


def test_real_time_begins_with_the_first_key_and_steps_at_its_pace():
    clock = Clock()
    game = Sitting(pace=10.0)
    page = PlayPage(game, "", clock)
    clock.now += 5.0
    assert not page.poll()
    page.handle(down(pygame.K_LEFT))
    page.handle(up(pygame.K_LEFT))
    for _ in range(10):
        page.poll()
        clock.now += 0.1
    assert game.acted == [0] * 10  # without an action of doing nothing the latest one goes on
    assert 0.0 <= page.next_poll <= 0.1


def test_an_action_lasts_while_its_key_is_held_where_there_is_one_of_doing_nothing():
    clock = Clock()
    game = Sitting(pace=10.0, idle=7)
    page = PlayPage(game, "", clock)
    page.handle(down(pygame.K_LEFT))
    for step in range(6):
        if step == 3:
            page.handle(up(pygame.K_LEFT))
        page.poll()
        clock.now += 0.1
    assert game.acted == [0, 0, 0, 0, 7, 7]  # the key's action was still asked for once


def test_a_tap_between_two_steps_counts_once():
    clock = Clock()
    game = Sitting(pace=10.0, idle=7)
    page = PlayPage(game, "", clock)
    page.handle(down(pygame.K_SPACE))
    page.poll()
    page.handle(down(pygame.K_RIGHT))
    page.handle(up(pygame.K_RIGHT))
    for _ in range(2):
        clock.now += 0.1
        page.poll()
    assert game.acted == [7, 1, 7]


def test_a_pause_takes_no_step():
    clock = Clock()
    game = Sitting(pace=10.0)
    page = PlayPage(game, "", clock)
    page.handle(down(pygame.K_LEFT))
    page.poll()
    page.handle(down(pygame.K_p))
    clock.now += 3.0
    assert not page.poll()
    page.handle(up(pygame.K_p))
    page.handle(down(pygame.K_p))
    page.poll()
    assert game.acted == [0, 0]  # what was missed is not made up for


def test_after_the_end_only_the_next_episode_can_begin_and_not_by_the_key_that_ended_it():
    game = Sitting(ends_after=2)
    page = PlayPage(game, "")
    for _ in range(2):
        page.handle(down(pygame.K_RIGHT))
        page.handle(up(pygame.K_RIGHT))
    page.handle(down(pygame.K_RIGHT))
    assert (game.acted, game.begun) == ([1, 1], 0)
    page.handle(down(pygame.K_SPACE))
    assert game.begun == 1
    page.handle(down(pygame.K_LEFT))
    assert game.acted == [1, 1, 0]


def test_when_the_sitting_is_over_none_begins():
    game = Sitting(ends_after=1)
    page = PlayPage(game, "")
    page.handle(down(pygame.K_RIGHT))
    game.over = True
    page.handle(down(pygame.K_SPACE))
    assert game.begun == 0


def test_a_click_on_a_board_is_the_move_of_that_place(window):
    game = Sitting(scene=BOARD)
    page = PlayPage(game, "")
    window(page)
    frame, _ = page._board
    x, y = map(round, frame.place(1, 0))
    page.handle(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(x, y), button=1))
    page.handle(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(1, 1), button=1))
    page.handle(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(x, y), button=3))
    assert game.acted == [2]


def test_a_button_acts_by_a_click_and_by_the_keyboard(window):
    game = Sitting()
    page = PlayPage(game, "")
    window(page)
    page.handle(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=page._buttons[1].rect.center, button=1))
    assert game.acted == [1]
    page.handle(down(pygame.K_RETURN))
    assert game.acted == [1, 1]
    assert page._buttons[2].rect.width == 0  # of an action that is not possible


def is_near(colour, expected):
    """Edges are smooth: a colour mixes with its neighbour's."""
    return all(abs(one - other) <= 10 for one, other in zip(colour[:3], expected, strict=True))


@pytest.mark.parametrize("size", [(1280, 800), (500, 340)])
def test_marks_of_both_sides_are_drawn_in_their_colours_and_shapes(window, size):
    page = PlayPage(Sitting(scene=BOARD), "")
    opened = window(page)
    surface = pygame.Surface(size)
    opened._surface = surface
    opened._draw()
    frame, _ = page._board
    own, other = (tuple(map(round, frame.place(*cell))) for cell in ((0, 0), (1, 1)))
    assert is_near(surface.get_at(own), (0, 101, 168))  # the strokes of a cross meet in the middle
    assert is_near(surface.get_at(other), (255, 255, 255))  # a ring is empty there
    across = [surface.get_at((other[0] + x, other[1])) for x in range(frame.cell // 2)]
    assert any(is_near(colour, (201, 98, 0)) for colour in across)


def test_it_draws_a_grid_strokes_a_picture_and_an_end(window):
    for scene in (
        GRID,
        Scene("pole", lines=np.array([[0.0, 0.0, 1.0, 1.0]])),
        Scene("pixels", image=np.full((8, 8, 3), 200, np.uint8)),
        Scene("cards", facts={"player": "14"}),
    ):
        game = Sitting(scene=scene, ends_after=1)
        page = PlayPage(game, "")
        opened = window(page)
        before = pygame.image.tobytes(opened._surface, "RGB")
        game.act(0)
        page._look()
        opened._draw()
        assert pygame.image.tobytes(opened._surface, "RGB") != before  # it says that the episode is over
        opened.close()


def test_nothing_is_drawn_while_nothing_changes(window):
    opened = window(PlayPage(Sitting(), ""))
    drawn = []
    draw = opened._draw
    opened._draw = lambda: (drawn.append(1), draw())
    pygame.event.clear()
    for _ in range(3):
        opened.step(0.0)
    assert drawn == []


def test_picture():
    page = PlayPage(Sitting(scene=BOARD), "")
    check_picture(draw_page(page, size=(900, 600)), Path(__file__).parent / "golden" / "play.png")
