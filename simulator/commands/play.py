"""``engram play``: a person plays an environment, or a game against an opponent; the episodes are stored."""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator import console
from simulator.commands.kinds import StoredKind
from simulator.commands.live.driver import announce_compiling
from simulator.commands.parsing.command import Command, CommandResult, Options, ParsedArgs, lab_of
from simulator.commands.parsing.help import PlayerHelp, player_help
from simulator.commands.parsing.parser import format_value, option_of
from simulator.config.codec import assemble, own_settings, plain_label
from simulator.config.play import PlayConfig
from simulator.config.validation import Setting
from simulator.core import registry
from simulator.core.files.escaping import visible
from simulator.core.notices import forget_notices
from simulator.core.stopping import RateLimiter, Stopped

if TYPE_CHECKING:
    from simulator.commands.live.keyboard import Keyboard
    from simulator.play.host import Host
    from simulator.play.session import PlaySession
    from simulator.store.run_store import Store

HOLD_SECONDS = 0.25  # for which a key counts as held after it came: keys of a terminal repeat, and have no release
FRAME_SECONDS = 1.0 / 30.0  # between two drawings in real time, at least
WAIT_SECONDS = 0.5  # between looks at the size of the terminal, while a key is awaited
LETTERS = {"w": "up", "d": "right", "s": "down", "a": "left"}  # beside the arrows
NEXT = (" ", "\n", "\r")
_RUN = re.compile(r"run:.+|r[1-9][0-9]*|latest|.*/r[1-9][0-9]*", re.ASCII)
PLAYED_WITHOUT = "--view terminal plays in the terminal, --actions by words"
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def act(args: ParsedArgs) -> CommandResult:
    """Play what is named."""
    from simulator.play import log
    from simulator.play.host import Host
    from simulator.reporting import play as report
    from simulator.store.run_store import Store

    options = args.options
    lab = lab_of(options)
    announce_compiling()
    forget_notices()
    _check_options(args)
    config = _config(args, lab)
    if options.view == "window" and not options.actions:
        from simulator.views.window.app import check_display

        check_display(PLAYED_WITHOUT, must_be_seen=True)
    session = _session(config, options)  # before the lab is touched: it may not be playable
    with Store(lab) as store:
        pace = session.spec.steps_per_second if options.pace is None else options.pace or None
        host = Host(store, config, session, options.episodes, pace, options.label)
        scripted = True
        stopped = 0
        try:
            scripted, stopped = _played(host, options)
        finally:
            is_stored = host.close()
        data = log.summary(store, host.id) if is_stored else _nothing(config)
        data["taught"] = None
        if options.teach and not stopped:
            data["taught"] = _taught(store, config)
    code = 128 + stopped if stopped else int(scripted and not is_stored and not data["taught"])
    return CommandResult(data, partial(report.show, hints=_hints(config, options, is_stored)), code)


def _check_options(args: ParsedArgs) -> None:
    """Refuse options that do nothing here."""
    name = args.names[0]
    is_game = _is_game(name)
    for option in ("against", "train_steps", "learn"):
        if not is_game and option in args.given:
            raise ValueError(f"--{option.replace('_', '-')}: {name} is no game, expected one (engram list games)")
    if is_game and not args.options.against:
        who = "an agent, a strategy (engram list presets) or a stored run"
        raise ValueError(f"{name} is a game: expected --against and {who}, such as --against random_walk")
    if is_game and args.options.teach:
        raise ValueError(f"--teach: {name} is a game, expected an environment, in which clones are evaluated")


def _is_game(name: str) -> bool:
    kinds = registry.kinds_of(name)
    return "games" in kinds and "envs" not in kinds


def _config(args: ParsedArgs, lab: str) -> PlayConfig:
    """Assemble the settings of the sitting; its first seed is the next one that the person has not played."""
    from simulator.training import learned

    name = args.names[0]
    against = args.options.against
    tables: dict[str, Any] = {"env": {"name": name}}
    if _is_game(name):
        tables = {"game": {"name": name}}
        if _RUN.fullmatch(against):
            args.settings["run"] = learned.reference(against.removeprefix("run:"), lab)
        else:
            tables["opponent"] = {"name": against}
    config = assemble(PlayConfig, args.sources(tables))
    if "first_seed" in args.given or not Path(lab).exists():
        return config
    return replace(config, first_seed=_next_seed(lab, config))


def _next_seed(lab: str, config: PlayConfig) -> int:
    from simulator.play import log
    from simulator.play.session import next_seed
    from simulator.store.run_store import Store

    with Store(lab) as store:
        return next_seed(log.seeds_in(store, config.name, log.place_of(config)))


def _session(config: PlayConfig, options: Options) -> PlaySession:
    """Make the session, its opponent trained; beside a window one that draws itself is in a process of its own."""
    from simulator.play.session import EnvSession, drained, session_of
    from simulator.play.session_process import SessionProcess

    if config.opponent is not None and config.train_steps:
        if getattr(registry.load("agents", config.opponent.name).module, "TRAINABLE", True):
            console.print_status(f"{config.against} trains in play against itself, {config.train_steps:,} moves")
    session = drained(session_of(config))
    if options.view == "window" and isinstance(session, EnvSession) and session.scene().image is not None:
        session.close()
        return SessionProcess(config.env, config.env_settings, config.first_seed)
    return session


def _nothing(config: PlayConfig) -> dict[str, Any]:
    """Return the JSON object of a sitting without a whole episode, of which nothing is stored."""
    from simulator.play import log

    empty = dict.fromkeys(("optimum", "floor", "threshold", "created", "seconds", "cpu_seconds"))
    head = {"play": None, "label": "", "name": f"human:{config.name}", "env": config.place, "opponent": config.against}
    return {**head, "status": "nothing stored", "episodes": [], "abandoned": [], "score": log.score_of([])} | empty


# ---- ways to play


def _played(host: Host, options: Options) -> tuple[bool, int]:
    """Play until the end; whether actions came from a script, and the signal that ended it, or 0."""
    from simulator.commands.live.keyboard import Keyboard

    in_window = options.view == "window" and not options.actions
    keyboard = Keyboard.of_terminal() if options.view == "terminal" and not options.actions else None
    scripted = keyboard is None and not in_window
    with _signals_stop():
        try:
            if in_window:
                _play_in_window(host, options)
            elif keyboard is None:
                _play_words(host, iter(options.actions) if options.actions else _typed())
            else:
                _play_keys(host, keyboard)
        except Stopped as stopped:
            return scripted, stopped.number
        except KeyboardInterrupt:
            return scripted, int(signal.SIGINT)
    return scripted, 0


@contextmanager
def _signals_stop() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise ``Stopped``, so that the terminal gets its own mode back."""

    def stop(number: int, frame: Any) -> None:
        raise Stopped(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _play_in_window(host: Host, options: Options) -> None:
    """Play in a window until it is closed."""
    from simulator.play.session_process import SessionProcess
    from simulator.views.window.app import Window, WindowClosed
    from simulator.views.window.play_page import PlayPage

    window = Window(PlayPage(host, _command_of(host.config, options)), scale=options.scale)
    if isinstance(host.session, SessionProcess):
        host.session.waiting = window.stay_alive
    try:
        with suppress(WindowClosed):
            window.run()
    finally:
        if isinstance(host.session, SessionProcess):
            host.session.close()


def _command_of(config: PlayConfig, options: Options) -> str:
    """Return the command that begins another sitting like this."""
    words = ["engram play", config.place]
    words += [f"--against {options.against}"] if options.against else []
    words += [f"--name {config.name}", f"--view {options.view}"]
    settings_of_place = config.env_settings if config.env else config.game_settings
    return " ".join(words) + _flags(settings_of_place, "env" if config.env else "game")


def _typed() -> Iterator[str]:
    """Iterate over the words of stdin, as soon as each line has come; commas separate words, too."""
    for line in sys.stdin:
        yield from line.replace(",", " ").split()


def _play_words(host: Host, words: Iterator[str]) -> None:
    """Take actions from words, episode after episode; refused ones are told, and the turn stays."""
    from simulator.play.actions import action_of

    for word in words:
        if host.session.ended:
            host.begin()
        action = action_of(word, host.session.spec, host.session.scene())
        outcome = host.act(action)
        if outcome.refused:
            console.print_status(visible(f"{word}: {outcome.refused}; the turn stays"))
        if host.session.ended:
            _tell_end(host)
            if host.over:
                return


def _tell_end(host: Host) -> None:
    session = host.session
    second = "" if session.second is None else f", the other side {session.second:g}"
    paid = f"return {session.total:g}{second}, {session.steps:,} steps"
    console.print_status(f"{host.id}: episode {host.n_done}, seed {session.seed}: {paid}")


class _Screen:
    """The page on the terminal of stderr, redrawn in place."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        from simulator.views.style import style_of

        self._console = Console(stderr=True)
        self._look = style_of(self._console)
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._frames = RateLimiter(FRAME_SECONDS)
        self._drawn: Any = None  # the page on the screen, and the screen's size

    def draw_if_due(self, host: Host) -> None:
        """Draw the moment, unless the last drawing is fresh."""
        if self._frames.is_due():
            self.draw(host)

    def draw(self, host: Host) -> None:
        """Draw the moment, where it looks otherwise than what is on the screen."""
        from simulator.views.play import page

        size = self._console.size
        drawn = (page(host.snapshot(), size, self._look), size)
        if drawn != self._drawn or not self._live.is_started:
            self._live.start()
            self._live.update(drawn[0], refresh=True)
            self._drawn = drawn

    def close(self) -> None:
        """Leave the last page, and the cursor as it was."""
        self._live.stop()


def _play_keys(host: Host, keyboard: Keyboard) -> None:
    """Take actions from keys: an env of turns waits for each, one in real time goes on at its own pace."""
    screen = _Screen()
    try:
        with keyboard.listening(screen.close):
            while True:
                play = _play_real_time if host.pace else _play_turns
                if not play(host, keyboard, screen) or host.over:
                    return
                if not _next_wanted(host, keyboard, screen):
                    return
                host.begin()
    finally:
        screen.draw(host)
        screen.close()


def _next_wanted(host: Host, keyboard: Keyboard, screen: _Screen) -> bool:
    """Wait for the key that begins the next episode; False: the person quits."""
    while True:
        screen.draw(host)
        for key in keyboard.keys(WAIT_SECONDS):
            if key in NEXT:
                return True
            if key == "q":
                return False


def _play_turns(host: Host, keyboard: Keyboard, screen: _Screen) -> bool:
    """Play an episode, one action for each key; False: the person quits."""
    while not host.session.ended:
        screen.draw(host)
        for key in keyboard.keys(WAIT_SECONDS):
            if key == "q":
                return False
            action = _keyed(host, key)
            if action is not None and not host.session.ended:
                host.act(action)
    return True


def _keyed(host: Host, key: str) -> Any:
    """Return the action of a key, or None."""
    by_key = {action.key: action.action for action in host.snapshot().actions if action.key}
    action = by_key.get(key)
    return by_key.get(LETTERS.get(key, "")) if action is None else action


def _play_real_time(
    host: Host, keyboard: Keyboard, screen: _Screen, clock: Callable[[], float] = time.monotonic
) -> bool:
    """Play an episode at its pace from the first key on; False: the person quits.

    An action lasts while its key is held, where there is an action of doing nothing; else until the next key.
    """
    from simulator.play.actions import idle_action

    session = host.session
    idle = idle_action(session.spec, session.scene())
    chosen: Any = None
    until = 0.0  # when the key counts as released
    due = 0.0  # when the next step is
    waiting = True  # for the first key, or paused
    while not session.ended:
        (screen.draw if waiting else screen.draw_if_due)(host)
        for key in keyboard.keys(WAIT_SECONDS if waiting else max(due - clock(), 0.0)):
            if key == "q":
                return False
            if key == "p" and not waiting:
                waiting = True
                continue
            action = _keyed(host, key)
            if action is not None or key in NEXT:
                chosen = chosen if action is None else action
                until = clock() + HOLD_SECONDS
                due = clock() if waiting else due
                waiting = False
        if waiting or clock() < due:
            continue
        if idle is not None and clock() >= until:
            chosen = None
        action = idle if chosen is None else chosen
        if action is None:  # space began an episode that has no action of doing nothing
            waiting = True
            continue
        host.act(action)
        assert host.pace
        due = max(due + 1.0 / host.pace, clock() - 1.0 / host.pace)
    return True


# ---- clones


def _taught(store: Store, config: PlayConfig) -> dict[str, Any]:
    """Fit clones to what the person has played, and evaluate them in a run of their own."""
    from simulator.commands.live.driver import drive
    from simulator.commands.run import begun
    from simulator.play import teach
    from simulator.training import loop

    cloning = teach.cloning_of(store, config)
    driven = drive(loop.run(cloning.config, store, label=cloning.label, pictures=False), None, begun)
    if driven.signal:
        raise Stopped(driven.signal)
    return teach.taught(store, driven.last.id, cloning)


def _hints(config: PlayConfig, options: Options, is_stored: bool) -> list[str]:
    """Return commands that go on from a sitting."""
    if config.game or not is_stored:
        return []
    label = plain_label(config.env)
    taught = [f"cloned:{config.name}"] if options.teach else []
    contestants = " ".join([f"human:{config.name}", *taught, "q_learning"])
    tournament = (
        f"engram tournament --agents {contestants} --envs {config.env}{_flags(config.env_settings, f'env.{label}')}"
    )
    if options.teach:
        return [tournament]
    return [f"engram play {config.env} --name {config.name} --teach{_flags(config.env_settings, 'env')}", tournament]


def _flags(settings_of_env: Any, prefix: str) -> str:
    """Return the options of the settings that differ from the defaults, each behind a space."""
    defaults = type(settings_of_env)()
    flags = ""
    for field in fields(settings_of_env):
        value = getattr(settings_of_env, field.name)
        if value == getattr(defaults, field.name):
            continue
        name = f"{prefix}.{field.name}"
        flags += _flags(value, name) if is_dataclass(value) else f" {option_of((name,))} {format_value(value)}"
    return flags


def _settings() -> list[Setting]:
    return [setting for setting in own_settings(PlayConfig) if setting.name != "run"]


def _players(args: ParsedArgs) -> list[PlayerHelp]:
    if not args.names:
        return []
    name = args.names[0]
    if not _is_game(name):
        return [player_help(("env",), "envs", name)]
    helps = [player_help(("game",), "games", name)]
    against = args.options.against
    return [*helps, player_help(("opponent",), "agents", against)] if against and not _RUN.fullmatch(against) else helps


def stored_kind() -> StoredKind:
    """Describe recorded play; see :mod:`simulator.commands.kinds`."""
    from simulator.play import log
    from simulator.reporting import play

    return StoredKind(PlayConfig, log.summary, play.show, _refuse_to_resume)


def _refuse_to_resume(name: str, lab: str, args: ParsedArgs) -> CommandResult:
    raise ValueError(f"{name} is recorded play, which is over, expected a run (engram play ENV records more of it)")


COMMAND = Command(
    act,
    (1, 1),
    ("against", "episodes", "teach", "actions", "pace", "view", "scale", "label"),
    _settings,
    ("env", "game", "opponent"),
    _players,
    examples=(
        "play rooms --name ann --episodes 5 --teach",
        "play tic_tac_toe --against planner",
        "play iterated_matrix --against grudger --game.rounds 10",
        "play FrozenLake-v1 --episodes 1 --actions down,down,right,right,down,right --env.kwargs is_slippery=false",
    ),
)
