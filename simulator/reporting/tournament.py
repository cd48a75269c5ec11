"""Report of a tournament: its tables for terminals, Markdown and LaTeX, and its records for CSV.

Everything reads the summary that ``engram tournament --json`` prints. Its labels, settings and reasons were written by
others: :func:`readable` comes first. Contestants of one tier stand together, and an empty row separates tiers, so that
no order is read into a tier as a whole.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator import console
from simulator.core.files.escaping import markdown, one_line, visible
from simulator.core.wording import plural
from simulator.reporting.tables import (
    Row,
    Table,
    decimals,
    finite,
    interval_columns,
    print_latex,
    print_markdown,
    print_tables,
    seed_ranges,
    significant,
)

if TYPE_CHECKING:
    from simulator.statistics.analysis import DivisionScores

Summary = Mapping[str, Any]
RANKING = ("tier", "contestant", "strength", "score", "optimality gap", "mean rank", "lottery share")
ON_PAPER = ("tier", "contestant", "strength", "score", "mean rank")  # a printed page has room for these
PAIRS = ("first", "second", "P(first > second)", "seeds needed", "difference", "p (Holm)")
DROPPABLE = (  # the first is the first to go; without the last one, empty rows still separate the tiers
    *("lottery share", "mean rank", "difference", "optimality gap", "score", "P(first > second)", "p (Holm)", "tier"),
)
LABELS = ("contestant", "first", "second")
PLURALS = {"agent": "agents", "memory": "memories", "player": "players"}
FAILURE = ("contestant", "challenge", "reason", "counted_as")
MAX_PAIRS = 20
MEANINGS = (
    "strength: Bradley-Terry, in log odds; score: interquartile mean of the scores, normalised to 0 at the floor and 1 "
    "at the ceiling; optimality gap: how far the normalised scores stay below 1 on average; lottery share: share in "
    "the maximal lottery. Brackets hold {confidence} confidence intervals over seeds."
)


def show(summary: Summary, width: int | None = None) -> None:
    """Print the tournament on the terminal; ``width``: its columns, None: as they are."""
    name = readable(summary)["tournament"]
    print_tables(tables(summary), width)
    console.print_next(f"engram plot {name} -o {name}.svg", f"engram report {name} --table")


def show_markdown(summary: Summary) -> None:
    """Print the rankings and the scores as Markdown tables."""
    summary = readable(summary)
    console.print_result(markdown(headline(summary)))
    for division in divisions(summary):
        name = PLURALS.get(division, division)
        ranking = _ranking(summary, division)
        scores = _scores(summary, division)
        print_markdown(
            [
                ranking._replace(title=f"{name}, with {confidence(summary)} confidence intervals over seeds"),
                scores._replace(title="final evaluation return, interquartile mean over seeds"),
            ]
        )


def show_latex(summary: Summary) -> None:
    """Print the rankings (``ON_PAPER`` of them) and the scores as LaTeX tabulars."""
    summary = readable(summary)
    columns = [RANKING.index(name) for name in ON_PAPER]
    printed: list[Table] = []
    for division in divisions(summary):
        ranking = _ranking(summary, division)
        narrow = [[row[at] for at in columns] for row in ranking.rows]
        printed += [ranking._replace(columns=list(ON_PAPER), rows=narrow), _scores(summary, division)]
    print_latex(printed)


def tables(summary: Summary) -> list[Table]:
    """Return all that a terminal shows: rankings and scores, undecided pairs, matches, failures."""
    summary = readable(summary)
    shown = [Table("", [], [], [headline(summary)])]
    for division in divisions(summary):
        shown += [_ranking(summary, division), _scores(summary, division), *_undecided(summary, division)]
    shown += _matches(summary)
    failures = [failure_line(failure) for failure in grouped_failures(summary)]
    return [*shown, Table("", [], [], failures)] if failures else shown


def readable(summary: Summary) -> dict[str, Any]:
    """Make every text of a summary fit for a terminal, a table or XML; its settings keep their lines."""
    other_keys = one_line_each({key: value for key, value in summary.items() if key != "settings"})
    return {**other_keys, "settings": visible_settings(str(summary["settings"]))}


def one_line_each(value: Any) -> Any:
    """Put every text of a JSON value on one line, invisible characters as their codes."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {one_line_each(key): one_line_each(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [one_line_each(item) for item in value]
    return value


def visible_settings(toml: str) -> str:
    """Replace invisible characters of settings by their codes, line by line."""
    return "\n".join(map(visible, toml.expandtabs().split("\n")))


def divisions(summary: Summary) -> list[str]:
    """Return the names of the divisions that have a ranking, in their order."""
    return list(dict.fromkeys(row["division"] for row in summary["ranking"]))


def ranked(summary: Summary, division: str) -> list[Mapping[str, Any]]:
    """Return the ranking of one division, the best first."""
    return [row for row in summary["ranking"] if row["division"] == division]


class SeedCount(NamedTuple):
    """Number of seeds, of all."""

    n: int
    of: int


def seeds_at(score: Mapping[str, Any], level: float) -> SeedCount:
    """Count the seeds of a score whose final evaluation is at least a level; one without any is not."""
    finals = score["raw"]["per_seed"]
    return SeedCount(sum(final is not None and final >= level - 1e-9 for final in finals), len(finals))


def details(summary: Summary, division: str) -> Mapping[str, Any]:
    """Return pairs, profiles, curves and so on of one division."""
    empty: dict[str, Any] = {"pairs": [], "matrix": [], "profiles": None, "curves": [], "cycles": [], "tiers_note": ""}
    return {
        **empty,
        **next((statistics for statistics in summary["divisions"] if statistics["division"] == division), {}),
    }


def confidence(summary: Summary) -> str:
    """Return the confidence level of its intervals, by its settings: ``95 %``."""
    return f"{100 * confidence_level(summary):.4g} %"


def confidence_level(summary: Summary) -> float:
    """Return the confidence level of its intervals, by its settings."""
    try:
        return float(tomllib.loads(str(summary["settings"])).get("confidence", 0.95))
    except tomllib.TOMLDecodeError:
        return 0.95


def with_smooth_curves(summary: Summary, played: Mapping[str, DivisionScores], smooth: int) -> dict[str, Any]:
    """Return a summary whose curves are made of smoothed ones of each seed.

    Args:
        summary: the JSON object of ``engram tournament``.
        played: the curves of each seed, by division.
        smooth: evaluations that each point is the mean of.
    """
    from simulator.reporting import curves

    level = confidence_level(summary)
    smooth_divisions = []
    for statistics in summary["divisions"]:
        rows = [
            {"challenge": challenge, "contestant": contestant, **curves.band(of_seeds, level, smooth)}
            for challenge, contestant, of_seeds in curves.tournament_curves(played[statistics["division"]])
        ]
        smooth_divisions.append({**statistics, "curves": rows})
    return {**summary, "divisions": smooth_divisions, "smooth": smooth}


def seed_scores(played: Mapping[str, DivisionScores]) -> Iterator[dict[str, Any]]:
    """Yield a record for each contestant, challenge and seed: its final score; None where it has none."""
    for name, scores in played.items():
        for i, contestant in enumerate(scores.contestants):
            for m, challenge in enumerate(scores.challenges):
                for seed, score in zip(scores.seeds, scores.scores[i, m].tolist(), strict=True):
                    place = {"division": name, "contestant": contestant, "challenge": challenge, "seed": seed}
                    yield {**place, "score": finite(score)}


def headline(summary: Summary) -> str:
    """Describe the tournament and its progress in a sentence."""
    cells = summary["cells"]
    label = f" ({summary['label']})" if summary["label"] else ""
    progress = f"{summary['status']}: {cells['done']:,} of {plural(cells['planned'], 'cell')}"
    progress += "".join(f", {cells[name]:,} {name}" for name in ("failed", "missing") if cells.get(name))
    size = ", ".join(plural(len(summary[name]), name[:-1]) for name in ("contestants", "challenges"))
    steps = f", {summary['steps']:,} steps per seed" if summary["steps"] else ""
    return f"{summary['tournament']}{label}, {progress}; {size}, {plural(len(summary['seeds']), 'seed')}{steps}"


class RankedRow(NamedTuple):
    """A row of the leaderboard."""

    tier: int | None  # None for a contestant without any score
    cells: Row  # columns RANKING


def ranking_rows(summary: Summary, division: str) -> list[RankedRow]:
    """Return the leaderboard of a division, the best first."""
    rows = []
    for row in ranked(summary, division):
        score = row["score"] or {}
        lottery = finite(row["lottery"])
        cells = [
            "-" if row["tier"] is None else str(row["tier"]),
            row["contestant"],
            decimals(row["strength"], 2),
            decimals(score.get("iqm"), 3),
            decimals(score.get("optimality_gap"), 3),
            decimals(row["mean_rank"], 2),
            "-" if lottery is None else f"{lottery:.0%}",
        ]
        rows.append(RankedRow(row["tier"], cells))
    return rows


def by_tier(rows: Sequence[RankedRow]) -> list[list[Row]]:
    """Group the rows by tier."""
    return [[row.cells for row in group] for _, group in groupby(rows, lambda row: row.tier)]


def _ranking(summary: Summary, division: str) -> Table:
    rows: list[Row] = []
    for tier in by_tier(ranking_rows(summary, division)):
        rows += [[""] * len(RANKING)] * bool(rows) + tier
    notes = [details(summary, division)["tiers_note"], *cycle_lines(summary, division)]
    notes.append(MEANINGS.format(confidence=confidence(summary)))
    title = f"ranking of {PLURALS.get(division, division)}"
    return Table(title, list(RANKING), rows, notes, DROPPABLE, LABELS)


class ScoreTable(NamedTuple):
    """Raw scores of a division."""

    columns: Row  # "contestant" and the challenges
    rows: list[Row]  # a row for each contestant: interquartile means with intervals
    scale: list[Row]  # floor and ceiling, each with its source below it


def score_table(summary: Summary, division: str) -> ScoreTable:
    """Return the raw scores of a division beside the floor and the ceiling of each challenge."""
    order = [row["contestant"] for row in ranked(summary, division)]
    score_of = {(score["contestant"], score["challenge"]): score for score in summary["scores"]}
    played = {challenge for contestant, challenge in score_of if contestant in order}
    challenges = [challenge for challenge in summary["challenges"] if challenge["label"] in played]
    n_seeds = len(summary["seeds"])
    rows = []
    for name in order:
        rows.append(
            [name, *(_score(score_of.get((name, challenge["label"])), n_seeds, challenge) for challenge in challenges)]
        )
    scale = []
    for mark, zero_or_one in (("floor", 0), ("ceiling", 1)):
        numbers = [significant({"value": challenge.get(mark)}, _spread(challenge)) for challenge in challenges]
        scale.append([f"{mark} (= {zero_or_one})", *numbers])
        scale.append(["normalised by", *(challenge.get(f"{mark}_is") or "-" for challenge in challenges)])
    return ScoreTable(["contestant", *(challenge["label"] for challenge in challenges)], rows, scale)


def _score(score: Mapping[str, Any] | None, n_seeds: int, challenge: Mapping[str, Any]) -> str:
    if score is None:
        return "-"
    fewer = "" if score["seeds"] in (n_seeds, None) else f" ({plural(score['seeds'], 'seed')})"
    return significant((score["raw"] or {}).get("iqm"), _spread(challenge)) + fewer


def _spread(challenge: Mapping[str, Any]) -> float:
    """Return the distance of floor and ceiling; 0 where one of them is unknown."""
    floor = finite(challenge.get("floor"))
    ceiling = finite(challenge.get("ceiling"))
    return 0.0 if floor is None or ceiling is None else abs(ceiling - floor)


def _scores(summary: Summary, division: str) -> Table:
    columns, rows, scale = score_table(summary, division)
    title = f"scores of {PLURALS.get(division, division)}, interquartile mean over seeds"
    notes = people_lines(summary) if division == "agent" else []
    return Table(title, columns, [*rows, [""] * len(columns), *scale], notes, labels=LABELS, splittable=True)


def people_lines(summary: Summary) -> list[str]:
    """Say of every person how few episodes a score is of, and that they are no episodes of the agents' evaluations."""
    return [
        f"{one['contestant']} in {one['challenge']}: {plural(one['episodes'], 'recorded episode')} of"
        f" {one['seeds']} of {plural(one['planned'], 'seed')}, not the episodes that agents are evaluated in:"
        " pairs by seed share no chance"
        for one in summary.get("people", ())
    ]


def compared(summary: Summary, division: str) -> list[Mapping[str, Any]]:
    """Return the pairs of the contestants that are ranked: one without a score is in no pair."""
    placed = {row["contestant"] for row in ranked(summary, division) if row["tier"] is not None}
    return [pair for pair in details(summary, division)["pairs"] if {pair["first"], pair["second"]} <= placed]


def undecided(summary: Summary, division: str) -> list[Mapping[str, Any]]:
    """Return the pairs that do not differ significantly, those that need the fewest seeds first."""
    pairs = [pair for pair in compared(summary, division) if not pair["decided"]]
    return sorted(pairs, key=lambda pair: (pair["seeds_needed"] is None, pair["seeds_needed"] or 0))


def undecided_title(summary: Summary, division: str) -> str:
    """Count the pairs that do not differ significantly."""
    n_pairs = len(compared(summary, division))
    n_open = len(undecided(summary, division))
    return f"no significant difference: {n_open} of {plural(n_pairs, 'pair')} of {PLURALS.get(division, division)}"


def _undecided(summary: Summary, division: str) -> list[Table]:
    pairs = undecided(summary, division)
    rows = [
        [
            pair["first"],
            pair["second"],
            decimals(pair["probability"], 2),
            console.format_cell(pair["seeds_needed"]),
            decimals(pair["difference"], 3),
            console.format_cell(pair["p_holm"]),
        ]
        for pair in pairs[:MAX_PAIRS]
    ]
    n_more = len(pairs) - len(rows)
    notes = [f"and {plural(n_more, 'pair')} more, in --json"] if n_more else []
    return [Table(undecided_title(summary, division), list(PAIRS), rows, notes, DROPPABLE, LABELS)] if pairs else []


def _matches(summary: Summary) -> list[Table]:
    """Return the matches of games: mean scores, exact payoffs and exploitability where they are known."""
    matches = summary.get("matches", ())
    known = [name for name in ("expected", "exploitability") if any(match[name] for match in matches)]
    rows = [
        [
            match["first"],
            match["second"],
            match["challenge"],
            *(_both_sides(match[name]) for name in ("scores", *known)),
        ]
        for match in matches
    ]
    titles = {"expected": "exact payoffs", "exploitability": "best-response payoffs"}
    columns = ["first", "second", "game", "scores", *(titles[name] for name in known)]
    return [Table("matches, means over seeds", columns, rows)] if rows else []


def _both_sides(sides: Sequence[float | None] | None) -> str:
    return " and ".join("-" if side is None else f"{side:.3f}" for side in sides) if sides else "-"


def cycle_lines(summary: Summary, division: str) -> list[str]:
    """Describe majority cycles."""
    cycles = details(summary, division)["cycles"]
    return [f"cycle: {' beats '.join([*cycle, cycle[0]])}: no order agrees with every pair" for cycle in cycles]


def grouped_failures(summary: Summary) -> list[dict[str, Any]]:
    """Join the failures of one contestant in one challenge that have the same reason: their seeds in one list."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for failure in summary["failures"]:
        key = tuple(str(failure[name]) for name in FAILURE)
        groups.setdefault(key, []).extend(failure["seeds"])
    return [{**dict(zip(FAILURE, key, strict=True)), "seeds": sorted(seeds)} for key, seeds in groups.items()]


def failure_line(failure: Mapping[str, Any]) -> str:
    """Describe a failure: contestant, challenge, seeds, reason, and how it was counted."""
    seeds = failure["seeds"]
    where = f", seed{'s' * (len(seeds) != 1)} {seed_ranges(seeds)}" if seeds else ""
    place = f"{failure['contestant']} in {failure['challenge']}{where}"
    return f"failed: {place}: {failure['reason']} (counted as: {failure['counted_as']})"


def seed_records(summary: Summary) -> Iterator[dict[str, Any]]:
    """Yield a record for each contestant, challenge and seed: its final score on the challenge's own scale."""
    for record in summary["seed_scores"]:
        yield {"tournament": summary["tournament"], **record}


def curve_records(summary: Summary) -> Iterator[dict[str, Any]]:
    """Yield a record for each evaluation of each contestant in each challenge: interquartile mean and interval."""
    from simulator.reporting.curves import records

    for statistics in summary["divisions"]:
        for curve in statistics["curves"]:
            place = {"tournament": summary["tournament"], "division": statistics["division"]}
            yield from records({**place, **{name: curve[name] for name in ("contestant", "challenge")}}, curve)


def records(summary: Summary) -> Iterator[dict[str, Any]]:
    """Yield a record for each contestant and challenge, the contestant's overall figures repeated.

    Numbers are plain, an interval has columns of its own (``_low``, ``_high``), and what is unknown is empty.
    """
    ranking = {row["contestant"]: row for row in summary["ranking"]}
    challenges = {challenge["label"]: challenge for challenge in summary["challenges"]}
    for score in summary["scores"]:
        rank = ranking.get(score["contestant"], {})
        challenge = challenges.get(score["challenge"], {})
        record = {"tournament": summary["tournament"], "division": rank.get("division")}
        record |= {name: score[name] for name in ("contestant", "challenge", "seeds")}
        for scale in ("raw", "normalised"):
            for kind in ("iqm", "mean", "median", "optimality_gap"):
                if scale == "normalised" or kind != "optimality_gap":
                    record |= interval_columns(f"{scale}_{kind}", (score[scale] or {}).get(kind))
        record |= interval_columns("auc", score["auc"])
        record |= interval_columns("steps_to_threshold", score["steps_to_threshold"], "median")
        record |= {"solved_fraction": score["solved_fraction"]}
        record |= interval_columns("solved_after_first", score["solved_after_first"], "mean")
        record |= {name: challenge.get(name) for name in ("floor", "floor_is", "ceiling", "ceiling_is", "threshold")}
        record |= {f"overall_{name}": rank.get(name) for name in ("tier", "wins", "lottery", "n_excluded")}
        record |= interval_columns("overall_strength", rank.get("strength"))
        record |= interval_columns("overall_mean_rank", rank.get("mean_rank"))
        overall = rank.get("score") or {}
        record |= interval_columns("overall_iqm", overall.get("iqm"))
        record |= interval_columns("overall_optimality_gap", overall.get("optimality_gap"))
        yield record
