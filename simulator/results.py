"""Results of experiments in a lab: numbers, tables for pandas, figures, and a view for notebooks.

A result reads its lab and changes nothing there. ``summary`` is the JSON object of the command (``engram run --json``
and so on); results of recall and of tournaments can be used as that dict.
"""

from __future__ import annotations

import base64
import html
import io
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from simulator.console import format_cell, interval
from simulator.core.experiment_kinds import PREDICT, RECALL, RUN, TOURNAMENT, TUNE
from simulator.core.protocols import Array, Curve
from simulator.store.database import NAME
from simulator.store.lab import existing
from simulator.store.run_store import Store
from simulator.training import summary as run_summary

if TYPE_CHECKING:
    from simulator.statistics.estimates import Estimate
    from simulator.trainer import Trainer

Records = list[dict[str, Any]]
RUN_RECORDS = ("evaluations", "curve", "seeds")


class PairedComparison(NamedTuple):
    """Comparison of two runs on the seeds that both have; intervals of 95 % over seeds."""

    difference: Estimate  # mean of the first's final return minus the second's on the same seed
    improvement: Estimate  # P(first > second): the fraction of seeds where the first does better, ties count half
    p: float  # of a two-sided paired permutation test; of one pair, so correct it for many
    n_seeds: int


class RunResult:
    """A stored run, read from its lab.

    Args:
        lab: the lab's folder.
        run: the run's id, or "latest".

    Raises:
        ValueError: there is no such lab or run; nothing is created.
    """

    def __init__(self, lab: str | Path, run: str = "latest") -> None:
        self._lab = _lab_of(lab)
        self.summary = _summary_in(self._lab, run, run_summary.summary)
        self.run = str(self.summary["run"])

    @property
    def evaluation(self) -> Array:
        """Each seed's mean return of the last greedy evaluation, float64 [S]; NaN for one that failed."""
        return np.array(self.summary["evaluation"]["per_seed"], np.float64)

    @property
    def exact(self) -> Array | None:
        """Each seed's exact expected return, float64 [S]; None where the environment is no finite MDP."""
        exact = self.summary["evaluation"]["exact_per_seed"]
        return None if exact is None else np.array(exact, np.float64)

    def curve(self) -> Curve:
        """Return the training curve: steps [P], mean_return [S, P] and episodes [S, P].

        ``mean_return`` is a masked array, masked where no episode of a seed ended: sums, means and plots leave these
        points out.
        """
        with Store(self._lab) as store:
            steps, mean, episodes = run_summary.curve(store, self.run)
        return Curve(steps, np.ma.masked_array(mean, mask=episodes == 0), episodes)

    def evaluations(self) -> tuple[Array, Array]:
        """Return all evaluations: steps [K] and scores [S, K], exact where possible; NaN for a failed seed."""
        with Store(self._lab) as store:
            return run_summary.evaluation_scores(store, store.find(self.run))

    def compare(self, other: RunResult) -> PairedComparison:
        """Compare final returns with another run's, seed by seed: exact ones where both have them.

        Raises:
            ValueError: fewer than two seeds in common that did not fail, or runs in different environments.
        """
        from simulator.statistics import estimates, paired_tests

        if self.summary["env"] != other.summary["env"]:
            envs = f"{self.run} is in {self.summary['env']}, {other.run} in {other.summary['env']}"
            raise ValueError(f"{envs}, expected one environment")
        is_exact = self.exact is not None and other.exact is not None
        first, second = (
            dict(zip(result.summary["seeds"], result.exact if is_exact else result.evaluation, strict=True))  # type: ignore[arg-type]
            for result in (self, other)
        )
        gaps = np.array([first[seed] - second[seed] for seed in first if seed in second])
        gaps = gaps[np.isfinite(gaps)]
        if len(gaps) < 2:
            raise ValueError(f"{self.run} and {other.run} have {len(gaps)} seeds in common, expected at least two")
        wins = 0.5 + 0.5 * np.sign(np.where(np.abs(gaps) < paired_tests.TIE_TOLERANCE, 0.0, gaps))
        improvement = paired_tests.proportion_ci(wins[None, None], 0.95)
        return PairedComparison(
            estimates.Estimate(*map(float, estimates.estimate(gaps, np.mean))),
            estimates.Estimate(*(float(bound[0]) for bound in improvement)),
            float(paired_tests.permutation_test(gaps[None, None], 10_000)[0]),
            len(gaps),
        )

    def trainer(self) -> Trainer:
        """Return the trained agent, to play, to evaluate and to train on; the run stays as it is."""
        from simulator.trainer import Trainer

        return Trainer.load(self.run, lab=self._lab)

    def export(self, path: str | Path, *, seed: int | None = None, force: bool = False) -> None:
        """Write what was learned as arrays; see :meth:`simulator.trainer.Trainer.export`."""
        self.trainer().export(path, seed=seed, force=force)

    def records(self, what: str = "evaluations") -> Records:
        """Return a table as a list of dicts.

        Args:
            what: "evaluations": ``seed, step, score``, exact where possible; "curve": ``seed, step, mean_return,
                episodes`` of training, where an episode ended; "seeds": ``seed, evaluation, exact`` at the end.

        Raises:
            ValueError: another table.
        """
        seeds = self.summary["seeds"]
        if what == "evaluations":
            steps, scores = self.evaluations()
            return [
                {"seed": seed, "step": int(step), "score": float(score)}
                for seed, row in zip(seeds, scores, strict=True)
                for step, score in zip(steps, row, strict=True)
            ]
        if what == "curve":
            curve = self.curve()
            return [
                {"seed": seed, "step": int(curve.steps[p]), "mean_return": float(row[p]), "episodes": int(counts[p])}
                for seed, row, counts in zip(seeds, curve.mean_return, curve.episodes, strict=True)
                for p in np.flatnonzero(counts)
            ]
        if what == "seeds":
            exact = [None] * len(seeds) if self.exact is None else self.exact.tolist()
            rows = zip(seeds, self.evaluation.tolist(), exact, strict=False)
            return [{"seed": seed, "evaluation": mean, "exact": known} for seed, mean, known in rows]
        raise ValueError(f"table {what!r}: expected one of {', '.join(RUN_RECORDS)}")

    def to_pandas(self, what: str = "evaluations") -> Any:
        """Return :meth:`records` as a ``pandas.DataFrame``.

        Raises:
            ModuleNotFoundError: pandas is not installed; the line names the command.
        """
        return _data_frame(self.records(what))

    def plot(self, ax: Any = None) -> Any:
        """Draw the learning curve with its 95 % confidence band.

        Args:
            ax: axes of matplotlib to draw on; None: a new figure of pyplot, which notebooks show.

        Returns:
            The axes; ``ax.figure.savefig("curve.png")`` writes them.

        Raises:
            ValueError: nothing was evaluated yet, or something else than axes, such as the name of a file.
        """
        from simulator.reporting import figures

        if ax is not None and not hasattr(ax, "plot"):
            file = str(ax) if isinstance(ax, str | Path) else "curve.png"
            instead = f'plot().figure.savefig("{file}") writes a file'
            raise ValueError(f"plot: ax = {str(ax)[:60]}: expected axes of matplotlib, or None; {instead}")
        if ax is None:
            from matplotlib import pyplot

            with figures.style():
                ax = pyplot.figure(figsize=(6.0, 3.6), layout="constrained").add_subplot()
        with figures.style():
            self._paint(ax)
            ax.set_ylabel("return")
        return ax

    def _paint(self, ax: Any) -> None:
        """Paint the learning curve on axes of matplotlib."""
        from simulator.reporting import plot, runs

        drawing = plot.drawing_of(RUN, runs.gather([self.run], str(self._lab), curves=["curves"]))
        panel = plot.pictures_in(drawing)[0].panels[0]
        panel.paint(ax)
        env = self.summary["env"]
        ax.set_title(panel.title or runs.short_names([env])[env])

    def _repr_html_(self) -> str:
        from simulator.reporting import figures

        summary = self.summary
        evaluation = summary["evaluation"]
        score = interval(evaluation["iqm"], evaluation["low"], evaluation["high"], evaluation.get("equal"))
        rows = [
            ("status", summary["status"]),
            ("seeds", len(summary["seeds"])),
            ("environment steps per seed", summary["step"]),
            ("final evaluation return, IQM [95 % CI]", score),
            ("optimal return", summary["optimum"]),
        ]
        title = f"{self.run}: {summary['agent']} in {summary['env']}"
        try:
            with figures.style():
                figure = _figure((6.0, 3.2))
                self._paint(figure.add_subplot())
                picture = _image(figure)
        except ValueError:  # nothing was evaluated yet
            picture = ""
        return _html(title, ("", ""), [row for row in rows if row[1] is not None]) + picture

    def __repr__(self) -> str:
        summary = self.summary
        seeds = f"{len(summary['seeds'])} seeds, IQM {format_cell(summary['evaluation']['iqm'])}"
        return f"<{self.run}: {summary['agent']} in {summary['env']}, {seeds}, {summary['status']}>"


class SummaryResult(Mapping[str, Any]):
    """A result that can be used as its summary: ``result["cells"]``, ``dict(result)``."""

    kind: ClassVar[str]  # one of :mod:`simulator.core.experiment_kinds`
    summary: dict[str, Any]

    @abstractmethod
    def records(self) -> Records:
        """Return the numbers of the summary as a list of dicts, a row each."""

    def plot(self, what: str = "all") -> Any:
        """Return a figure of matplotlib.

        Args:
            what: one of the pictures that ``engram plot --what`` draws of such an experiment; "all": those that it
                draws by default, on one sheet.

        Raises:
            ValueError: an unknown kind of picture, or nothing to draw yet.
        """
        from matplotlib import pyplot  # noqa: F401 - once it is loaded, notebooks know how to show the figure

        from simulator.reporting import plot

        return plot.figure_of(plot.drawing_of(self.kind, self.summary, () if what == "all" else (what,)))

    def to_pandas(self) -> Any:
        """Return :meth:`records` as a ``pandas.DataFrame``.

        Raises:
            ModuleNotFoundError: pandas is not installed; the line names the command.
        """
        return _data_frame(self.records())

    def __getitem__(self, key: str) -> Any:
        return self.summary[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.summary)

    def __len__(self) -> int:
        return len(self.summary)


class PredictResult(SummaryResult):
    """A stored comparison of predictions, which can be used as its summary: ``result["cells"]``.

    Args:
        lab: the lab's folder.
        run: its id, or "latest".

    Raises:
        ValueError: there is no such lab or comparison; nothing is created.
    """

    kind = PREDICT

    def __init__(self, lab: str | Path, run: str = "latest") -> None:
        from simulator.prediction import summary

        self.summary = _summary_in(_lab_of(lab), run, summary.summary)
        self.run = str(self.summary["run"])

    def records(self) -> Records:
        """Return the scores of every cell and seed as a list of dicts."""
        from simulator.reporting import predict

        return list(predict.records(self.summary))

    def __repr__(self) -> str:
        seeds = f"{len(self.summary['seeds'])} seeds, {len(self.summary['cells'])} cells"
        return f"<{self.run}: {self.summary['task']}, {seeds}, {self.summary['status']}>"


class RecallResult(SummaryResult):
    """A stored recall benchmark, which can be used as its summary: ``result["cells"]``.

    Args:
        lab: the lab's folder.
        run: its id, or "latest".

    Raises:
        ValueError: there is no such lab or benchmark; nothing is created.
    """

    kind = RECALL

    def __init__(self, lab: str | Path, run: str = "latest") -> None:
        from simulator.recall import summary

        self._lab = _lab_of(lab)
        self.summary = _summary_in(self._lab, run, summary.summary)
        self.run = str(self.summary["run"])

    def records(self) -> Records:
        """Return the scores of every cell and seed as a list of dicts."""
        from simulator.reporting import recall

        return list(recall.records(self.summary))

    def export(self, path: str | Path, *, seed: int | None = None, force: bool = False) -> None:
        """Write the states of its memories as arrays; see :mod:`simulator.training.export`.

        Args:
            path: ends in ``.npz`` or ``.safetensors``.
            seed: write this one alone, without the seed axis; None: all of them.
            force: replace another file.
        """
        from simulator.recall import export as recall_export
        from simulator.training import export

        export.write(recall_export.of_benchmark(self._lab, self.run, seed), Path(path), force=force)

    def _repr_html_(self) -> str:
        rows = [
            (cell["memory"], cell["patterns"], cell["corruption"], _mean(cell["overlap"]), _mean(cell["exact"]))
            for cell in self.summary["cells"]
        ]
        columns = ("memory", "patterns", "corruption", "overlap m [95 % CI]", "perfect-recall rate [95 % CI]")
        return _html(f"{self.run}: recall of {self.summary['challenge']}", columns, rows)

    def __repr__(self) -> str:
        summary = self.summary
        contestants = ", ".join(summary["contestants"][:4]) + ", ..." * (len(summary["contestants"]) > 4)
        seeds = f"{len(summary['seeds'])} seeds"
        return f"<{self.run}: {contestants} on {summary['challenge']}, {seeds}, {summary['status']}>"


class TournamentResult(SummaryResult):
    """A stored tournament, which can be used as its summary: ``result["ranking"]``.

    Args:
        lab: the lab's folder.
        name: its id, such as "t1", or "latest".

    Raises:
        ValueError: there is no such lab or tournament; nothing is created.
    """

    kind = TOURNAMENT

    def __init__(self, lab: str | Path, name: str = "latest") -> None:
        from simulator.store.cell_store import CellStore
        from simulator.tournaments import summary

        with CellStore(_lab_of(lab)) as store:
            self.summary = summary.summary(store, store.id_of(name))
        self.tournament = str(self.summary["tournament"])

    def records(self) -> Records:
        """Return the scores of every contestant in every challenge as a list of dicts."""
        from simulator.reporting import tournament

        return list(tournament.records(self.summary))

    def _repr_html_(self) -> str:
        rows = []
        for row in self.summary["ranking"]:
            strength = row["strength"] or {"value": None, "low": None, "high": None}
            shown = interval(strength["value"], strength["low"], strength["high"])
            rows.append((row["division"], row["tier"], row["contestant"], shown))
        columns = ("division", "tier", "contestant", "strength [CI]")
        return _html(f"{self.tournament}: {self.summary['status']}", columns, rows)

    def __repr__(self) -> str:
        summary = self.summary
        n = len(summary["contestants"])
        return f"<{self.tournament}: {n} contestants, {len(summary['seeds'])} seeds, {summary['status']}>"


class TuneResult(SummaryResult):
    """A stored search of settings, which can be used as its summary: ``result["best"]``.

    Args:
        lab: the lab's folder.
        name: its id, such as "t1", or "latest".

    Raises:
        ValueError: there is no such lab or search; nothing is created.
    """

    kind = TUNE

    def __init__(self, lab: str | Path, name: str = "latest") -> None:
        from simulator.store.cell_store import CellStore
        from simulator.tuning import summary

        with CellStore(_lab_of(lab)) as store:
            self.summary = summary.summary(store, store.id_of(name, TUNE))
        self.tune = str(self.summary["tune"])

    def records(self) -> Records:
        """Return every trial as a dict: its settings, its state, and the objective at every rung."""
        from simulator.reporting import tune

        return list(tune.records(self.summary))

    def _repr_html_(self) -> str:
        from simulator.reporting import tune

        shown = tune.tables(self.summary, tune.SHOWN)[0]
        return _html(shown.title, shown.columns, shown.rows)

    def __repr__(self) -> str:
        summary = self.summary
        what = f"{summary['player']} in {summary['place']}"
        return f"<{self.tune}: {what}, {len(summary['trials'])} trials, {summary['status']}>"


def _lab_of(lab: str | Path) -> Path:
    """Return the folder of a lab that exists; creates nothing.

    Raises:
        ValueError: there is none.
    """
    folder = Path(existing(str(lab)))
    if not (folder / NAME).exists():
        raise ValueError(f"{folder} is no lab: expected the folder of stored runs")
    return folder


def _summary_in(lab: Path, run: str, summarise: Callable[[Store, str], dict[str, Any]]) -> dict[str, Any]:
    with Store(lab) as store:
        return summarise(store, store.find(run).run)


def _mean(value: Mapping[str, Any] | None) -> str:
    return "-" if value is None else interval(value["mean"], value["low"], value["high"])


def _data_frame(records: Records) -> Any:
    try:
        import pandas
    except ModuleNotFoundError:
        advice = "to_pandas needs pandas: pip install pandas (records() gives the same rows as dicts)"
        raise ModuleNotFoundError(advice, name="pandas") from None
    return pandas.DataFrame(records)


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def _image(figure: Any) -> str:
    """Return a figure as an element of HTML."""
    page = io.BytesIO()
    figure.savefig(page, format="svg", metadata={"Date": None})
    return f'<img src="data:image/svg+xml;base64,{base64.b64encode(page.getvalue()).decode()}" alt="learning curve">'


def _html(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def line(tag: str, cells: Sequence[Any]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(format_cell(cell))}</{tag}>" for cell in cells) + "</tr>"

    head = line("th", columns) if any(columns) else ""
    body = "".join(line("td", row) for row in rows)
    return f"<table><caption>{html.escape(title)}</caption>{head}{body}</table>"
