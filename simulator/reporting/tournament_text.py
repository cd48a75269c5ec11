"""What tables, pictures and pages of a tournament hold, as text: one truth for all of them.

Everything here reads the summary that ``engram tournament --json`` prints. Its labels, settings and reasons were
written by others: :func:`readable` comes first.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from simulator.core.files.escaping import one_line, visible

Summary = Mapping[str, Any]
Number = Mapping[str, Any] | None  # value, low, high; each may be None
Row = list[str]
RANKING = ("tier", "contestant", "strength", "score", "gap", "mean rank", "lottery")
MARKS = ("floor", "ceiling")
MOST_DECIMALS = 9
PLURALS = {"agent": "agents", "memory": "memories", "player": "players"}


def readable(summary: Summary) -> dict[str, Any]:
    """The summary with every text of it fit for a terminal, a table or XML; its settings keep their lines."""
    rest = _printable({key: value for key, value in summary.items() if key != "settings"})
    lines = str(summary["settings"]).expandtabs().split("\n")
    return {**rest, "settings": "\n".join(map(visible, lines))}


def _printable(value: Any) -> Any:
    """The same JSON value with every text in it on one line, and what cannot be seen as its code."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def shortened(text: str, width: int) -> str:
    """The text in at most ``width`` cells of a terminal: two dots instead of its middle."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    head, tail = text[: len(text) // 2], text[len(text) // 2 :]
    while cell_len(head) + cell_len(tail) + 2 > width and head + tail:
        head, tail = (head[:-1], tail) if len(head) > len(tail) else (head, tail[1:])
    return f"{head}..{tail}"


def plural(n: int, noun: str) -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def decimals(number: Number, digits: int) -> str:
    """``0.912 [0.900, 0.930]`` with a fixed number of decimals; ``-`` where there is no number."""
    value, low, high = (_known((number or {}).get(name)) for name in ("value", "low", "high"))
    if value is None:
        return "-"
    value, low, high = (None if each is None else round(each, digits) + 0.0 for each in (value, low, high))  # no -0.00
    around = "" if low is None or high is None else f" [{low:,.{digits}f}, {high:,.{digits}f}]"
    return f"{value:,.{digits}f}{around}"


def figures(number: Number, spread: float = 0.0) -> str:
    """``450.0 [445.8, 454.2]``: four figures of the largest of the three, and as many decimals in all of them.

    Args:
        number: with its interval.
        spread: a difference that has to show three figures, such as that of floor and ceiling; 0: none.
    """
    value, low, high = (_known((number or {}).get(name)) for name in ("value", "low", "high"))
    largest = max((abs(each) for each in (value, low, high) if each is not None), default=0.0)
    if value is None or largest == 0.0 or 1e-3 <= largest < 1e12:
        digits = [max(3 - _power(largest), 0) if largest else 0]
        digits += [min(max(2 - _power(spread), 0), MOST_DECIMALS)] if spread else []
        return decimals(number, max(digits))
    return f"{value:.4g}" + ("" if low is None or high is None else f" [{low:.4g}, {high:.4g}]")


def _power(size: float) -> int:
    """The power of ten of a positive number that is written with four figures: 2 for 99.9999."""
    return int(f"{size:.3e}".partition("e")[2])


def divisions(summary: Summary) -> list[str]:
    """Names of the divisions that have a ranking, in their order."""
    return list(dict.fromkeys(each["division"] for each in summary["ranking"]))


def ranked(summary: Summary, division: str) -> list[Mapping[str, Any]]:
    """The ranking's entries of one division, the best first."""
    return [each for each in summary["ranking"] if each["division"] == division]


def details(summary: Summary, division: str) -> Mapping[str, Any]:
    """Pairs, profiles, curves and so on of one division."""
    empty: dict[str, Any] = {"pairs": [], "matrix": [], "profiles": None, "curves": [], "cycles": [], "tiers_note": ""}
    return {**empty, **next((each for each in summary["divisions"] if each["division"] == division), {})}


def level(summary: Summary) -> str:
    """How sure its intervals are, by its settings: ``95 %``."""
    try:
        share = tomllib.loads(str(summary["settings"])).get("level", 0.95)
    except tomllib.TOMLDecodeError:
        share = 0.95
    return f"{100 * share:.4g} %"


def headline(summary: Summary) -> str:
    """What was played, in a sentence."""
    cells = summary["cells"]
    words = f"{summary['tournament']}" + (f" ({summary['label']})" if summary["label"] else "")
    words += f", {summary['status']}: {cells['done']:,} of {plural(cells['planned'], 'cell')}"
    words += "".join(f", {cells[name]:,} {name}" for name in ("failed", "missing") if cells.get(name))
    players = ", ".join(plural(len(summary[name]), name[:-1]) for name in ("contestants", "challenges"))
    steps = f", {summary['steps']:,} steps" if summary["steps"] else ""
    return f"{words}; {players}, {plural(len(summary['seeds']), 'seed')}{steps}"


def ranking_rows(summary: Summary, division: str) -> list[tuple[int | None, Row]]:
    """The leaderboard of a division, columns ``RANKING``, each row with its tier, the best first.

    Whoever has no score at all is in no tier.
    """
    rows = []
    for each in ranked(summary, division):
        score, share = each["score"] or {}, _known(each["lottery"])
        numbers = (each["strength"], score.get("iqm"), score.get("optimality_gap"), each["mean_rank"])
        told = [decimals(number, digits) for number, digits in zip(numbers, (2, 3, 3, 2), strict=True)]
        lottery = "-" if share is None else f"{share:.0%}"
        tier = "-" if each["tier"] is None else str(each["tier"])
        rows.append((each["tier"], [tier, each["contestant"], *told, lottery]))
    return rows


def by_tier(rows: list[tuple[int | None, Row]]) -> list[list[Row]]:
    """The rows, tier by tier."""
    found = [[rows[0][1]]] if rows else []
    for (tier, _), (following, row) in pairwise(rows):
        if tier == following:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def score_rows(summary: Summary, division: str) -> tuple[Row, list[Row]]:
    """Raw scores of a division, interquartile mean with interval: columns, and a row for each contestant.

    The columns are "contestant" and the challenges. The last four rows are the floor, what it is, the ceiling, and
    what that is.
    """
    order = [each["contestant"] for each in ranked(summary, division)]
    known = {(each["contestant"], each["challenge"]): each for each in summary["scores"]}
    played = {challenge for contestant, challenge in known if contestant in order}
    marks = [each for each in summary["challenges"] if each["label"] in played]
    n_seeds = len(summary["seeds"])
    rows = [
        [name, *(_raw(known.get((name, mark["label"])), n_seeds, _spread(mark)) for mark in marks)] for name in order
    ]
    for mark in MARKS:
        rows.append([mark, *(figures({"value": each.get(mark)}, _spread(each)) for each in marks)])
        rows.append([f"{mark} is", *(each.get(f"{mark}_is") or "-" for each in marks)])
    return ["contestant", *(each["label"] for each in marks)], rows


def undecided(summary: Summary, division: str) -> list[Mapping[str, Any]]:
    """Pairs that the data do not tell apart, those that need the fewest seeds first."""
    pairs = [pair for pair in details(summary, division)["pairs"] if not pair["decided"]]
    return sorted(pairs, key=lambda pair: (pair["seeds_needed"] is None, pair["seeds_needed"] or 0))


def cycle_lines(summary: Summary, division: str) -> list[str]:
    """Majority cycles, in words."""
    found = details(summary, division)["cycles"]
    return [f"cycle: {' beats '.join([*cycle, cycle[0]])}: no order agrees with every pair" for cycle in found]


def failure_line(failure: Mapping[str, Any]) -> str:
    """Who failed where and why, and how it was counted."""
    seeds = failure["seeds"]
    where = f", seed{'s' * (len(seeds) != 1)} {spans(seeds)}" if seeds else ""
    place = f"{failure['contestant']} in {failure['challenge']}{where}"
    return f"failed: {place}: {failure['reason']} (counted as: {failure['counted_as']})"


def spans(seeds: list[int]) -> str:
    """Seeds in words: ``0 to 7, 9``."""
    found: list[list[int]] = []
    for seed in seeds:
        if found and seed == found[-1][1] + 1:
            found[-1][1] = seed
        else:
            found.append([seed, seed])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in found)


def _known(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _spread(mark: Mapping[str, Any]) -> float:
    """From floor to ceiling; 0 where one of them is not known."""
    floor, ceiling = _known(mark.get("floor")), _known(mark.get("ceiling"))
    return 0.0 if floor is None or ceiling is None else abs(ceiling - floor)


def _raw(score: Mapping[str, Any] | None, n_seeds: int, spread: float) -> str:
    if score is None:
        return "-"
    some = "" if score["seeds"] in (n_seeds, None) else f" ({plural(score['seeds'], 'seed')})"
    return figures((score["raw"] or {}).get("iqm"), spread) + some
