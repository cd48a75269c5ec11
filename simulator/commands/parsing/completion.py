"""Completion in the shell: ``engram --install-completion`` and ``--show-completion``, for bash, zsh and fish.

The shell's script calls ``engram --complete WORD ...`` with the words so far, the last of which is being typed, and
gets a line ``VALUE<tab>DESCRIPTION`` for everything that can stand there; nothing printed means a file's name.
Libraries for argparse (shtab, argcomplete) describe a parser as it is built beforehand; here options of players depend
on the names that were typed, and runs on the lab.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args, get_origin

from simulator import console
from simulator.commands.parsing.help import remembered
from simulator.commands.parsing.parser import SHORT, option_of
from simulator.config.validation import Setting, is_list
from simulator.core import registry
from simulator.core.components import is_socket_name
from simulator.core.files.escaping import visible
from simulator.core.files.writing import write_file

BASH = r"""# Completion of engram in bash.
_engram() {
    local line="${COMP_LINE:0:COMP_POINT}" words current IFS=$' \t\n'
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    current="${words[${#words[@]}-1]}"
    local breaks="" found=()
    [[ "$current" == *[:=]* ]] && breaks="${current%"${current##*[:=]}"}"
    IFS=$'\n'
    found=($("${words[0]/#\~/$HOME}" --complete "${words[@]:1}" 2>/dev/null | cut -f1))
    COMPREPLY=("${found[@]#"$breaks"}")
}
complete -o bashdefault -o default -F _engram engram
"""
ZSH = r"""#compdef engram
# Completion of engram in zsh.
_engram() {
    local line value
    local -a found
    for line in "${(@f)$(${~words[1]} --complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n "$line" ]] || continue
        value="${line%%$'\t'*}"
        found+=("${value//:/\\:}:${line#*$'\t'}")
    done
    if (( $#found )); then
        _describe -V engram found
    else
        _files
    fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _engram engram
"""
FISH = r"""# Completion of engram in fish.
function __engram_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] --complete $words[2..-1] "$current" 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path "$current"
    end
end
complete -c engram -f -a '(__engram_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
_PLACES = {  # word of a command's usage -> kinds of names that it stands for
    "AGENT": ("agents",),
    "ENV": ("envs",),
    "MEMORY": ("memories",),
    "CHALLENGE": ("challenges",),
    "METHOD": ("memories",),
    "TASK": ("tasks",),
    "RUN": ("runs",),
    "TOURNAMENT": ("tournaments", "tunings"),
    "KIND": ("kinds",),
    "NAME": ("agents", "envs", "memories", "challenges", "tasks", "games", "runs", "tournaments", "tunings"),
}
_OF_OPTIONS = {  # options whose values are names of a kind
    **{"agent": "agents", "agents": "agents", "players": "agents", "env": "envs", "envs": "envs"},
    **{"memories": "memories", "challenges": "challenges", "games": "games", "preset": "presets"},
}


class Candidate(NamedTuple):
    """A word that can stand where one is being typed."""

    value: str
    description: str = ""


def act(flag: str, words: Sequence[str]) -> None:
    """Install or print the script of a shell, or print what can stand where a word is being typed.

    Raises:
        ValueError: no such shell, or none is known; one line.
    """
    if flag == "--complete":
        for candidate in candidates(words or [""]):
            print(f"{candidate.value}\t{visible(candidate.description)}".rstrip())
        return
    shell = _shell(flag, words)
    if flag == "--show-completion":
        print(SCRIPTS[shell], end="")
        return
    for line in install(shell):
        console.print_result(line)


def _shell(flag: str, words: Sequence[str]) -> str:
    """Return the shell that was named, or else the user's own."""
    named = words[0] if words else Path(os.environ.get("SHELL", "")).name
    if len(words) > 1 or named not in SCRIPTS:
        found = " ".join(words) if words else f"SHELL={named}"
        raise ValueError(f"{flag} {found[:60]}: expected bash, zsh or fish")
    return named


def install(shell: str) -> list[str]:
    """Write the script of a shell where it is read, and return lines that say what was done.

    fish reads a folder of completions; the start files of bash and zsh get one line, once.
    """
    home = Path.home()
    if shell == "fish":
        script = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish" / "completions" / "engram.fish"
    else:
        script = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "engram" / f"completion.{shell}"
    script.parent.mkdir(parents=True, exist_ok=True)
    write_file(script, SCRIPTS[shell].encode(), force=True)  # over an older one
    lines = [f"wrote {script}"]
    if shell != "fish":
        start = home / ".bashrc" if shell == "bash" else Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
        line = f'source "{script}"  # completion of engram'
        text = start.read_text("utf-8") if start.is_file() else ""
        if line not in text.splitlines():
            with start.open("a", encoding="utf-8") as opened:  # may be a link, which stays one
                opened.write(f"{chr(10) * (bool(text) and not text.endswith(chr(10)))}{line}\n")
            lines.append(f"added a line to {start}")
    return [*lines, f'it completes in new shells, and here after: source "{script}"']


def candidates(words: Sequence[str]) -> list[Candidate]:
    """Return what can stand at the last word, which is being typed, after the words before it."""
    from simulator.commands.main import COMMANDS, command_of

    *before, current = words
    if not before:
        offered = [Candidate(name, summary.description) for name, summary in COMMANDS.items()]
        flags = ("--help", "--version", "--install-completion", "--show-completion")
        return _matching([*offered, *(Candidate(flag) for flag in flags if current.startswith("-"))], current)
    if before[0] in ("--install-completion", "--show-completion"):
        return _matching([Candidate(shell) for shell in SCRIPTS], current)
    if before[0] not in COMMANDS:
        return []
    command = command_of(before[0])
    known = command.known()
    by_option = {option_of((setting.name,)): setting for setting in known}
    by_option |= {
        short: by_option[option_of((name,))] for name, short in SHORT.items() if option_of((name,)) in by_option
    }
    names, last = _names(before[1:], by_option)
    typed = [*names, *_components(before[1:])]
    option, sign, text = current.partition("=")
    if sign and option.startswith("--"):
        values = _values(option, by_option.get(option), before[0], typed)
        return [Candidate(f"{option}={value}", told) for value, told in _matching(values, text)]
    if current.startswith("-"):
        own = [Candidate(option_of((setting.name,)), setting.doc) for setting in known]
        return _matching([*own, Candidate("--help", "print this help"), *_players(before[0], typed)], current)
    if last and not (by_option.get(last) and by_option[last].hint is bool):
        values = _values(last, by_option.get(last), before[0], typed)
        setting = by_option.get(last)
        if values or not (setting and is_list(setting.hint)):
            return _matching(values, current)
    return _matching(_at_place(COMMANDS[before[0]].usage, len(names)), current)


def _matching(offered: Sequence[Candidate], current: str) -> list[Candidate]:
    """Return what begins with the text so far; ``-`` and ``_`` are the same."""
    plain = current.replace("_", "-")
    return [offer for offer in offered if offer.value.replace("_", "-").startswith(plain)]


def _names(words: Sequence[str], by_option: dict[str, Setting]) -> tuple[list[str], str]:
    """Return the names among words, and the option whose value comes next, or an empty text."""
    names = []
    last = ""
    for word in words:
        if word.startswith("-") and "=" not in word:
            setting = by_option.get(word.replace("_", "-"))
            last = "" if setting and setting.hint is bool else word.replace("_", "-")
        elif last:
            setting = by_option.get(last)
            last = last if setting and is_list(setting.hint) else ""
        elif not word.startswith("-"):
            names.append(word)
    return names, last


def _components(words: Sequence[str]) -> list[str]:
    """Return the words that choose components, ``--agent.recurrence lstm``, whose settings are options too."""
    chosen = []
    for word, after in itertools.pairwise([*words, ""]):
        option, sign, text = word.partition("=")
        value = text if sign else after
        if option.startswith("--") and "." in option and value and not value.startswith("-"):
            if is_socket_name(option.rpartition(".")[2].replace("-", "_")):
                chosen.append(f"{option}={value}")
    return chosen


def _at_place(usage: str, n_names: int) -> list[Candidate]:
    """Return the names that can stand at a place of a usage: ``engram run AGENT ENV``."""
    places = [place for place in usage.split()[2:] if place != "..."]
    many = "..." in usage
    if not places or usage.startswith("engram bench"):
        return []
    shown = places if many else places[n_names : n_names + 1]
    kinds = [kind for place in shown for word in re.findall(r"[A-Z]+", place) for kind in _PLACES.get(word, ())]
    offered = [offer for kind in dict.fromkeys(kinds) for offer in _of_kind(kind)]
    stored = {"runs", "tournaments", "tunings"} & set(kinds)
    return [*offered, *([Candidate("latest", "the newest experiment")] if stored else [])]


def _values(option: str, setting: Setting | None, command: str, names: Sequence[str]) -> list[Candidate]:
    """Return the values that an option can have; none where it is a number, a text or a file."""
    if setting is None:
        shown = next((text for text in _player_options(command, names) if text.option == option), None)
        values = re.split(r"\|", shown.metavar) if shown and "|" in shown.metavar else []
        return [Candidate(value) for value in values]
    if get_origin(setting.hint) is Literal:
        return [Candidate(str(value)) for value in get_args(setting.hint)]
    kind = _OF_OPTIONS.get(setting.name)
    return _of_kind(kind) if kind else []


class PlayerOption(NamedTuple):
    """An option that is a setting of a named player."""

    option: str
    metavar: str
    text: str


def _players(command: str, names: Sequence[str]) -> list[Candidate]:
    return [Candidate(option, text.replace("%%", "%")) for option, _, text in _player_options(command, names)]


def _player_options(command: str, names: Sequence[str]) -> Iterator[PlayerOption]:
    """Iterate over the options of the players that were named so far."""
    from simulator.commands.main import command_of, parsed_args

    found = command_of(command)
    if found.players is None or not names:
        return
    with contextlib.suppress(ValueError):  # a name that is not whole yet
        for player in found.players(parsed_args(found, names)):
            for path, _, options in player.groups:
                for option in options:
                    yield PlayerOption(option_of((*player.path, *path, option.name)), option.metavar, option.text)


def _of_kind(kind: str) -> list[Candidate]:
    """Return all names of a kind with a line on each."""
    if kind == "kinds":
        from simulator.commands.list import KINDS

        return [Candidate(shown) for shown in KINDS]
    if kind in ("runs", "tournaments", "tunings"):
        return _stored(kind)
    if kind == "presets":
        return [Candidate(name) for name in preset_names("agents")]
    offered = [Candidate(name, registry.description_of(kind, name)) for name in registry.names(kind)]
    offered += [Candidate(name, registry.variant_line(kind, name)) for name in registry.VARIANTS.get(kind, {})]
    if kind == "memories":
        offered += [Candidate(name, "preset") for name in preset_names(kind)]
    if kind == "envs":
        from simulator.commands.list import gymnasium_ids

        offered += [Candidate(env_id, "Gymnasium") for env_id in gymnasium_ids()]
    return offered


def preset_names(kind: str) -> list[str]:
    """List the presets of agents or of memories; the players are imported where their files have changed."""
    from simulator.config import presets

    if kind == "memories":
        return list(remembered("presets-memories", kind, lambda: list(presets.memory_presets())))
    return list(remembered("presets-agents", kind, lambda: [preset.name for preset in presets.every()[0]]))


def _stored(kind: str) -> list[Candidate]:
    """Return the runs, tournaments or tunings of the lab that commands use without ``--lab``, the newest first."""
    from simulator.commands.list import listing
    from simulator.commands.parsing.command import Options, lab_of

    with contextlib.suppress(Exception):  # a lab that cannot be read completes nothing
        rows = listing(kind, lab_of(Options()))[kind]
        if kind == "runs":
            return [Candidate(row["run"], f"{row['agent']} in {row['env']}, {row['status']}") for row in rows]
        name = {"tournaments": "tournament", "tunings": "tune"}[kind]
        return [Candidate(str(row[name]), str(row.get("label") or row.get("status") or "")) for row in rows]
    return []
