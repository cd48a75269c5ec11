"""Tests of the window under SDL's dummy driver: events, keys, pictures, and a display that goes away."""

from __future__ import annotations

import pytest

pygame = pytest.importorskip("pygame")

from simulator.views.drawing.canvas import Canvas  # noqa: E402
from simulator.views.window import app  # noqa: E402
from simulator.views.window.app import Window, check_display, free_path  # noqa: E402


class Notes:
    """A page that notes what it is given."""

    title = "Notes"
    keys = (("z", "nothing"),)
    next_poll = float("inf")

    def __init__(self):
        self.n_drawn = 0
        self.events = []
        self.is_closed = False
        self.has_news = False
        self.takes = ()
        self.sizes = []

    def draw(self, canvas: Canvas, rect):
        self.n_drawn += 1
        self.sizes.append(canvas.rect.size)
        canvas.tip = "a tip"

    def handle(self, event):
        self.events.append(event)
        return event.type == pygame.KEYDOWN and event.key in self.takes

    def poll(self):
        news, self.has_news = self.has_news, False
        return news

    def command(self):
        return "engram watch r1"

    def close(self):
        self.is_closed = True


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def display(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def window(display, clock, tmp_path):
    made = Window(Notes(), scale=1.0, size=(640, 420), folder=tmp_path, clock=clock)
    pygame.event.clear()
    _step(made)
    yield made
    made.close()


def _step(window, seconds=1.0):
    """Let a second pass, and the window do what is due."""
    window._clock.now += seconds
    return window.step(0.0)


def _press(key, mod=0, unicode=""):
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, mod=mod, unicode=unicode))


def test_draws_at_first_and_then_only_where_something_changed(window):
    drawn = window.page.n_drawn
    assert drawn == 1
    for _ in range(5):
        _step(window)
    assert window.page.n_drawn == drawn
    window.page.has_news = True
    _step(window)
    assert window.page.n_drawn == drawn + 1


def test_draws_at_most_thirty_times_a_second(window):
    drawn = window.page.n_drawn
    for _ in range(1000):
        window.page.has_news = True
        _step(window, 0.001)
    assert window.page.n_drawn - drawn <= 31


@pytest.mark.parametrize("key", [pygame.K_q, pygame.K_ESCAPE])
def test_keys_close_it(window, key):
    _press(key)
    assert _step(window) is False
    assert not window.is_open


def test_the_systems_button_closes_it(window):
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert _step(window) is False


def test_the_page_takes_keys_before_the_window(window):
    window.page.takes = (pygame.K_q,)
    _press(pygame.K_q)
    assert _step(window) is True


def test_f1_shows_keys_until_escape(window):
    _press(pygame.K_F1)
    _step(window)
    _press(pygame.K_ESCAPE)
    assert _step(window) is True
    _press(pygame.K_ESCAPE)
    assert _step(window) is False


def test_control_plus_and_minus_change_the_scale(window):
    _press(pygame.K_EQUALS, pygame.KMOD_CTRL)
    _step(window)
    assert window.scale == 1.25
    _press(pygame.K_MINUS, pygame.KMOD_CTRL)
    _press(pygame.K_MINUS, pygame.KMOD_CTRL)
    _step(window)
    assert window.scale == 1.0


@pytest.mark.parametrize("key", [pygame.K_s, pygame.K_F12])
def test_a_key_saves_a_picture(window, tmp_path, key):
    for n in (1, 2):
        _press(key)
        _step(window)
        picture = pygame.image.load(tmp_path / f"engram-{n}.png")
        assert picture.get_size() == (640, 420)
    assert free_path(tmp_path, "engram", ".png").name == "engram-3.png"


def test_a_picture_that_cannot_be_written_is_said(window, tmp_path):
    window._folder = tmp_path / "missing"
    _press(pygame.K_s)
    assert _step(window) is True
    assert "missing" in window._message


def test_c_copies_the_command_or_shows_it(window, monkeypatch):
    copied = []
    monkeypatch.setattr(app, "copy_text", lambda text: copied.append(text) is None)
    _press(pygame.K_c)
    _step(window)
    assert copied == ["engram watch r1"]
    monkeypatch.setattr(app, "copy_text", lambda text: False)
    _press(pygame.K_c)
    _step(window, 0.1)
    assert window._message == "engram watch r1"


class Experiment(Notes):
    """A page of what can be made again."""

    def recipe(self, onward):
        return "engram run a b --from r1" if onward else "engram run a b"


def test_k_copies_the_command_that_makes_it_again(window, monkeypatch):
    copied = []
    monkeypatch.setattr(app, "copy_text", lambda text: copied.append(text) is None)
    _press(pygame.K_k)  # of a page that cannot be made again, only shown
    _step(window)
    window.show(Experiment())
    _press(pygame.K_k)
    _press(pygame.K_k, mod=pygame.KMOD_SHIFT)
    _step(window)
    assert copied == ["engram watch r1", "engram run a b", "engram run a b --from r1"]
    assert window._message == "copied: engram run a b --from r1"


def test_a_command_that_cannot_be_told_is_said(window, monkeypatch):
    monkeypatch.setattr(Experiment, "recipe", lambda self, onward: (_ for _ in ()).throw(ValueError("no run r1")))
    window.show(Experiment())
    _press(pygame.K_k)
    assert _step(window)
    assert window._message == "no run r1"


def test_without_a_clipboard_the_command_is_printed_where_no_result_is_expected(window, monkeypatch, capsys):
    monkeypatch.setattr(app, "copy_text", lambda text: False)
    window.show(Experiment())
    for is_terminal in (True, False):
        monkeypatch.setattr(app.sys.stdout, "isatty", lambda is_terminal=is_terminal: is_terminal)
        _press(pygame.K_k)
        _step(window)
        said = capsys.readouterr()
        assert (said.out, said.err) == (("engram run a b\n", "") if is_terminal else ("", "engram run a b\n"))
        assert window._message == "engram run a b"


@pytest.mark.parametrize("fault", [pygame.error("no clipboard"), AttributeError("scrap")])
def test_a_clipboard_that_is_not_there_is_no_error(window, monkeypatch, fault):
    class Scrap:
        def put_text(self, text):
            raise fault

    monkeypatch.setattr(pygame, "scrap", Scrap())
    assert app.copy_text("engram") is False


def test_the_page_is_drawn_in_the_new_size(window):
    pygame.display.set_mode((500, 333), pygame.RESIZABLE)
    pygame.event.post(pygame.event.Event(pygame.VIDEORESIZE, size=(500, 333), w=500, h=333))
    _step(window)
    assert window.page.sizes[-1] == (500, 333)


def test_a_display_that_another_library_closed_closes_the_window(window):
    pygame.display.quit()
    window.redraw()
    assert _step(window) is False
    window.close()
    assert window.page.is_closed


def test_it_opens_ten_times_one_after_the_other(display, tmp_path):
    for _ in range(10):
        window = Window(Notes(), scale="auto", size=(320, 240), folder=tmp_path)
        window.step(0.05)
        assert window.page.n_drawn == 1
        window.close()
        window.close()


def test_without_a_display_one_line_says_what_to_do(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(app.sys, "platform", "linux")
    with pytest.raises(ValueError, match=r"no display: .*engram record.*--view terminal") as error:
        check_display()
    assert "\n" not in str(error.value)


def test_a_display_that_cannot_be_reached_is_said_in_one_line(monkeypatch):
    pygame.display.quit()
    monkeypatch.setenv("SDL_VIDEODRIVER", "nonsense")
    with pytest.raises(ValueError, match="no display: ") as error:
        Window(Notes(), scale=1.0)
    assert "\n" not in str(error.value)


def test_a_display_that_nobody_sees_is_none_to_play_on(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    check_display()
    with pytest.raises(ValueError, match=r"^no display: SDL_VIDEODRIVER=dummy .*; --view terminal plays$"):
        check_display("--view terminal plays", must_be_seen=True)


def _drawn(window, clock, *events):
    """Give events and return the pixels after two frames."""
    for event in events:
        pygame.event.post(event)
    for _ in range(2):
        clock.now += 0.1
        window.redraw()
        window.step()
    return pygame.surfarray.array3d(window._surface).copy()


def test_words_stand_over_the_page_while_something_is_compiled_and_keys_wait(window, clock):
    from numba import njit

    from simulator.core.jit import between_compilations

    before = _drawn(window, clock)
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_n, mod=0, unicode="n"))
    clock.now += 1.0
    with between_compilations(lambda: window.show_waiting("compiling")):
        assert njit(lambda x: x + 1)(1) == 2
    assert (pygame.surfarray.array3d(window._surface) != before).any()
    assert not window.page.events
    assert (_drawn(window, clock) == before).all()
    assert [event.key for event in window.page.events if event.type == pygame.KEYDOWN] == [pygame.K_n]
    clock.now += 1.0
    assert njit(lambda x: x + 2)(1) == 3  # nobody looks any more
    assert (pygame.surfarray.array3d(window._surface) == before).all()


def test_a_window_that_is_closed_while_it_waits_stays_closed(window, clock):
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    clock.now += 1.0
    window.show_waiting("compiling")
    assert not window.is_open
    window.show_waiting("compiling")


def test_a_tip_goes_away_by_itself_and_by_a_key(window, clock):
    empty = _drawn(window, clock)
    move = pygame.event.Event(pygame.MOUSEMOTION, pos=(300, 300), rel=(1, 1), buttons=(0, 0, 0))
    assert (_drawn(window, clock, move) != empty).any()
    clock.now += 6.0
    assert (_drawn(window, clock) == empty).all()
    assert (_drawn(window, clock, move) != empty).any()
    key = pygame.event.Event(pygame.KEYDOWN, key=pygame.K_n, mod=0, unicode="n")
    assert (_drawn(window, clock, key) == empty).all()
