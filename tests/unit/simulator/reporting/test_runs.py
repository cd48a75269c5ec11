"""Tests of summaries of runs: steps to threshold, solved fractions and their table, by hand."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

import simulator
from simulator.commands.run import show_summary
from simulator.config.run import build
from simulator.core.protocols import Failure
from simulator.reporting import runs as report
from simulator.store.run_records import new_run
from simulator.store.run_store import EvaluationRow, Rows, RunProgress, Store
from simulator.training import summary
from tests.helpers.commands import Engram

SCORES = [  # [S, K] at steps 50, 100, 150, 200, against a threshold of 10
    [1.0, 10.0, 12.0, 3.0],
    [11.0, 2.0, 2.0, 10.0],
    [1.0, 1.0, 1.0, 1.0],
    [0.0, 0.0, 0.0, 20.0],
]


def store_run(lab: Path, *, label: str = "", failed: tuple[Failure, ...] = (), **agent: object) -> None:
    """Store a run of four seeds with these scores; failed seeds have NaN from then on."""
    tables = {"agent": {"name": "q_learning", **agent}, "env": {"name": "rooms", "slip": 0.25}}
    config = build({"seeds": 4, "steps": 200, "eval_every": 50, "threads": 1, **tables})
    scores = np.array(SCORES)
    for failure in failed:
        scores[failure.seed, [50 * (k + 1) >= failure.step for k in range(4)]] = np.nan
    rows = [
        EvaluationRow(50 * (k + 1), i, scores[i, k], None, np.full(2, scores[i, k])) for i in range(4) for k in range(4)
    ]
    facts = {"threshold": 10.0, "optimum": 21.5, "training": 0.5, "training_cpu": 0.25, "label": label}
    facts["failed"] = [each._asdict() for each in failed]
    with Store(lab) as store:
        run = store.begin(new_run(config, label))
        store.checkpoint(run, RunProgress(200, 1.0, 1.0), {}, Rows(None, tuple(rows)), "done", facts)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    store_run(folder, label="a | b")
    store_run(folder, double=True, explore={"epsilon_start": 0.5})
    store_run(folder, failed=(Failure(1, 120, "its loss was not finite"),))
    return folder


def test_the_numbers_by_hand(lab: Path) -> None:
    with Store(lab) as store:
        result = summary.summary(store, "r1")
    solved = result["solved"]
    assert (solved["threshold"], solved["eval_every"], solved["fraction"], solved["final"]) == (10.0, 50, 0.75, 0.5)
    assert solved["first_steps"]["per_seed"] == [100.0, 50.0, None, 200.0]
    assert solved["first_steps"]["median"] == solved["median_first_steps"] == 100.0
    assert (solved["first_steps"]["low"], solved["first_steps"]["high"]) == (50.0, 200.0)
    # Seed 0: at it in one of two later evaluations; seed 1: in one of three; seed 3 was at it in the last only.
    assert solved["stayed_interval"]["per_seed"] == [0.5, pytest.approx(1 / 3), None, None]
    assert solved["stayed"] == solved["stayed_interval"]["mean"] == pytest.approx(5 / 12)
    interval = binomtest(3, 4).proportion_ci(method="wilson")
    assert solved["fraction_interval"] == {"low": pytest.approx(interval.low), "high": pytest.approx(interval.high)}
    z, p, n = 1.959963984540054, 0.75, 4
    middle, half = (p + z * z / (2 * n)) / (1 + z * z / n), z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    assert interval.low == pytest.approx(middle - half / (1 + z * z / n))
    assert (result["steps_per_cpu_second"], result["steps_per_second"], result["label"]) == (3200.0, 1600.0, "a | b")
    assert result["evaluation"]["iqm"] == pytest.approx(6.5)


def test_rows_say_whether_returns_are_sampled_or_exact_and_what_bounds_the_steps(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store(lab) as store:
        result = summary.summary(store, "r1")
    evaluation = {
        **result["evaluation"],
        "episodes": 3,
        "sampled": {"iqm": 0.625, "low": 0.5, "high": 0.75, "equal": None},
        "exact": {"iqm": 0.6194, "low": 0.6, "high": 0.65, "equal": None, "mean": 0.6},
    }
    show_summary({**result, "evaluation": evaluation})
    lines = [line.partition("  ") for line in capsys.readouterr().out.splitlines()]
    shown = {name: value.strip() for name, _, value in lines}
    assert shown["final evaluation return, sampled, IQM [95 % CI]"] == "0.625 [0.5, 0.75]"
    assert shown["final evaluation return, exact, IQM [95 % CI]"] == "0.6194 [0.6, 0.65]"
    assert shown["final evaluation return, exact, mean"] == "0.6"
    assert shown["steps to threshold, median"] == "<= 100 (evaluated every 50)"


def test_sampled_and_exact_returns_are_summarised_each_by_its_own(tmp_path: Path) -> None:
    result = simulator.run("random_walk", "FrozenLake-v1", seeds=4, steps=10, eval_episodes=20, lab=str(tmp_path))
    evaluation = result.summary["evaluation"]
    assert evaluation["sampled"]["iqm"] == pytest.approx(np.sort(evaluation["per_seed"])[1:3].mean())
    assert evaluation["exact"]["iqm"] == evaluation["iqm"] == pytest.approx(evaluation["exact_per_seed"][0])
    assert evaluation["exact"]["mean"] == pytest.approx(np.mean(evaluation["exact_per_seed"]))


def test_a_failed_seed_counts_in_the_fractions_only(lab: Path) -> None:
    with Store(lab) as store:
        result = summary.summary(store, "r3")
    solved = result["solved"]
    assert (solved["fraction"], solved["final"]) == (0.5, 0.25)
    assert solved["first_steps"]["per_seed"] == [100.0, None, None, 200.0]
    assert (result["evaluation"]["left_out"], result["evaluation"]["iqm"]) == (1, pytest.approx(8.0))


def test_without_evaluations_nothing_is_known(lab: Path, tmp_path: Path) -> None:
    config = build({"seeds": 2, "agent": {"name": "q_learning"}, "env": {"name": "rooms"}})
    with Store(tmp_path) as store:
        store.begin(new_run(config))
        result = summary.summary(store, "r1")
    assert result["solved"]["first_steps"] == {"median": None, "low": None, "high": None, "per_seed": [None, None]}
    with Store(tmp_path) as store, Store(lab) as other:
        assert summary.summary(store, "r1")["solved"].keys() == summary.summary(other, "r1")["solved"].keys()
    data = report.gather(["latest"], str(tmp_path))
    report.show_markdown(data)
    report.show(data)


def test_the_table_of_an_ablation(lab: Path, engram: Engram) -> None:
    head, rule, *rows = engram("report", "r1", "r2", "r3", "--lab", str(lab), "--table").out.splitlines()
    assert head.startswith(
        "| run | agent | env | settings | seeds | steps per seed | median steps to threshold | solved | "
    )
    assert rule == "| --- " * 13 + "|"
    cells = [[cell.strip() for cell in row.replace("\\|", "/")[1:-1].split("|")] for row in rows]
    assert cells[0] == [
        "a / b",
        "q_learning",
        "rooms",
        "baseline (eval_every = 50, env.slip = 0.25)",
        "4",
        "200",
        "100 [50, 200]",
        "3/4 seeds",
        "42 % [33, 50]",
        "2/4 seeds",
        "6.5 [1, 20]",  # three of four draws are alike in 5 % of the resamples
        "10, 21.5 is optimal",
        "3,200",
    ]
    assert cells[1][:4] == ["r2", "q_learning", "rooms", "agent.double = true, agent.explore.epsilon_start = 0.5"]
    assert cells[2][3:5] == ["same as baseline", "4 (1 failed)"]


def test_filters_json_and_csv(lab: Path, engram: Engram) -> None:
    words = ["report", "--agent", "q-learning", "--env", "rooms", "--lab", str(lab)]
    runs = engram(*words, "--json").json["runs"]
    assert [run["run"] for run in runs] == ["r1", "r2", "r3"]
    assert [run["compared_with"] for run in runs] == ["r1"] * 3
    assert runs[1]["differs"] == {"agent.double": True, "agent.explore.epsilon_start": 0.5}
    assert runs[0]["settings"] == {"eval_every": 50, "env.slip": 0.25}
    rows = list(csv.DictReader(io.StringIO(engram(*words, "--csv").out)))
    assert [row["failed"] for row in rows] == ["0", "0", "1"]
    assert (rows[0]["steps_to_threshold"], rows[0]["steps_to_threshold_high"], rows[0]["solved_fraction"]) == (
        "100.0",
        "200.0",
        "0.75",
    )
    assert "eval_every = 50" in engram("report", "latest", "--lab", str(lab)).out
    err = engram("report", "--lab", str(lab), code=2).err
    assert "expected engram report RUN, or latest, or --agent NAME, or --env NAME" in err
    assert "has no run of td among those asked for" in engram("report", "--agent", "td", "--lab", str(lab), code=2).err


def test_a_player_that_is_gone_can_be_reported(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(values: object) -> None:
        raise ValueError("no such player")

    monkeypatch.setattr(report, "build", gone)
    (run,) = report.gather(["r2"], str(lab))["runs"]
    assert run["settings"]["agent.double"] is True


def test_a_label_is_kept_and_is_not_a_setting(tmp_path: Path, engram: Engram) -> None:
    words = ["run", "q_learning", "rooms", "--steps", "300", "--seeds", "2", "--view", "none", "--lab", str(tmp_path)]
    assert ", no double\n" in engram(*words, "--label", "no double").out
    engram(*words)
    with Store(tmp_path) as store:
        assert [record.label for record in store.runs()] == ["", "no double"]
        assert len({record.settings_hash for record in store.runs()}) == 1
    engram("reproduce", "r1", "--lab", str(tmp_path))
    assert "no double" in engram("list", "runs", "--lab", str(tmp_path)).out


def test_a_setting_that_only_the_baseline_has_is_unset(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for kwargs in ({"map_name": "8x8"}, {}):
            env = {"name": "FrozenLake-v1", "kwargs": kwargs}
            store.begin(new_run(build({"seeds": 2, "agent": {"name": "q_learning"}, "env": env})))
    for baseline, other, value in (("r1", "r2", "unset"), ("r2", "r1", "8x8")):
        runs = report.gather([baseline, other], str(tmp_path))["runs"]
        assert [run["differs"] for run in runs] == [{}, {"env.kwargs.map_name": value}]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["report", "r1", "--html", "o.html", "--picture", "./o.html"], "expected two files"),
        (["report", "r1", "--rows", "seeds"], "--rows seeds: expected --csv beside it"),
        (["report", "--agent", "q_learning", "--force"], "--force: not for training runs, expected"),
        (["report", "r1", "--table", "--csv"], "--table --csv: expected one form at a time"),
        (["resume", "r1", "--retry"], "--retry: not for a run, expected --view"),
        (["reproduce", "r1", "--workers", "2"], "--workers: not for a run"),
    ],
)
def test_an_option_without_meaning_for_runs_is_refused(
    lab: Path, clean_folder: Path, engram: Engram, words: list[str], says: str
) -> None:
    assert says in engram(*words, "--lab", str(lab), code=2).error
    assert list(clean_folder.iterdir()) == []


def test_learning_curves_are_drawn_with_what_is_printed(lab: Path, clean_folder: Path, engram: Engram) -> None:
    words = ["report", "r1", "r2", "r3", "--lab", str(lab), "--picture", "curves.svg"]
    runs = engram(*words, "--json").json["runs"]
    curve = runs[0]["curve"]
    assert curve["steps"] == [50, 100, 150, 200]
    assert curve["iqm"] == [pytest.approx(np.mean(sorted(column)[1:3])) for column in np.transpose(SCORES)]
    assert all(low <= iqm <= high for low, iqm, high in zip(curve["low"], curve["iqm"], curve["high"], strict=True))
    assert runs[2]["curve"]["iqm"][0] == pytest.approx(2 / 3)  # of the three seeds that did not fail
    text = Path("curves.svg").read_text("utf-8")
    assert text.startswith("<?xml")
    assert "<!-- q_learning, double = true," in text
    printed = engram(*words, "--latex")
    assert printed.err == "curves.svg is written\n"
    assert printed.out.count(r"\begin{tabular}") == printed.out.count(r"\end{tabular}") == 1
    assert "CPU{-}second" not in printed.out
    table, common = printed.out.split(r"\end{tabular}")
    assert common.startswith("\n% in every row: ")
    assert not any(f"{name} & " in table for name in ("agent", "env"))


def test_a_page_is_named_and_nothing_else_is_printed(lab: Path, clean_folder: Path, engram: Engram) -> None:
    words = ["report", "r1", "r2", "--lab", str(lab)]
    assert engram(*words, "--html", "page.html").out == "page.html is written\n"
    assert Path("page.html").stat().st_size > 0
    assert engram(*words, "--html", "page.html", "--table").out.startswith("| run | ")


NO_CORRUPTION = "r1: no picture of corruption: no load met one kind of corruption in several amounts"


@pytest.mark.slow
def test_a_benchmark_is_drawn_and_printed_at_once(clean_folder: Path, engram: Engram) -> None:
    lab = ["--lab", "lab"]
    played = ["recall", "nearest_neighbor", "random_bits", "--patterns", "3", "6", "--seeds", "2", "--view", "none"]
    engram(*played, *lab)
    done = engram("report", "r1", "--picture", "a.svg", "--csv", *lab)
    assert len(list(csv.DictReader(io.StringIO(done.out)))) == 4
    assert done.err.splitlines() == [NO_CORRUPTION, "a.svg is written"]
    assert engram("report", "r1", "--picture", "a.svg", "--json", *lab).json["picture"] == "a.svg"
    assert engram("report", "r1", "--picture", "a.svg", *lab).out == "a.svg is written\n"
    for words in (["--force"], ["--env", "rooms"], ["--csv", "--table"]):
        assert engram("report", "r1", *words, *lab, code=2).err.startswith("engram: --")
    assert sorted(each.name for each in clean_folder.iterdir()) == ["a.svg", "lab"]
