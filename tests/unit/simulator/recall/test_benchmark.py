"""Tests of recall benchmarks: shared corruption, exact scores, and nothing lost or stored in part."""

from __future__ import annotations

import dataclasses
import io
import itertools

import numpy as np
import pytest
from rich.console import Console
from sklearn import decomposition

from envs.patterns import digits
from memory.identity import Identity
from simulator.commands import reproduce
from simulator.config import codec
from simulator.config import recall as recall_config
from simulator.config.presets import find_memory
from simulator.core.memories import RecallPicture
from simulator.core.snapshots import RecallSnapshot
from simulator.recall import benchmark, loop
from simulator.recall import summary as recalls
from simulator.recall.benchmark import SCORES, plan
from simulator.reporting import recall as recall_tables
from simulator.store.run_store import Store
from simulator.views.patterns import energy_line, grid_of, pattern_lines, recall_lines
from simulator.views.recall import page_of, plain_line, terminal_view
from simulator.views.style import TerminalStyle

SMALL = {
    "seeds": 3,
    "patterns": [4, 8],
    "corruption": ["flip:0.1", "erase:0.5"],
    "novel": 10,
    "challenge": {"name": "random_bits", "n_units": 40},
    "memory": {"nearest_neighbor": {}, "identity": {}, "hopfield": {}},
}


def config(**changes):
    return recall_config.build({**SMALL, **changes})


def play(lab, given, cells: int | None = None) -> str:
    """Run a benchmark, or so many cells of it, and return its run."""
    with Store(lab) as store:
        snapshots = loop.recall(given, store)
        for snapshot in itertools.islice(snapshots, None if cells is None else cells + 1):
            run = snapshot.id
        snapshots.close()
    return run


def summary_of(lab, run: str = "latest"):
    with Store(lab) as store:
        return recalls.summary(store, store.find(run).run)


def cell(summary, memory: str, patterns: int, corruption: str):
    wanted = (memory, patterns, corruption)
    (found,) = [each for each in summary["cells"] if (each["memory"], each["patterns"], each["corruption"]) == wanted]
    return found


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    lab = tmp_path_factory.mktemp("lab")
    play(lab, config())
    return summary_of(lab)


def test_the_plan_is_every_combination_once():
    cells = plan(config(patterns=[4, 8, 4], capacity=True))
    assert len(cells) == len(set(cells)) == 3 * 3 * 2
    assert [each.patterns for each in cells[:6]] == [4, 4, 8, 8, 0, 0]


@pytest.mark.slow
def test_every_memory_gets_the_same_corruption(summary):
    for patterns, corruption in itertools.product([4, 8], ["flip:0.1", "erase:0.5"]):
        cues = {cell(summary, name, patterns, corruption)["cue"] for name in SMALL["memory"]}
        assert len(cues) == 1
        floor = cell(summary, "identity", patterns, corruption)
        assert floor["overlap"]["mean"] == pytest.approx(floor["cue"])
    # 3 seeds * 8 cues * 40 units, each flipped with .1: overlap .8, four standard deviations are .08
    assert floor["cue"] == pytest.approx(0.5, abs=0.08)  # of erasure: half is not known
    assert cell(summary, "identity", 8, "flip:0.1")["cue"] == pytest.approx(0.8, abs=0.08)


def test_the_nearest_pattern_is_the_ceiling_of_exact_recall(summary):
    for each in summary["cells"]:
        if each["memory"] == "nearest_neighbor":
            # 3 seeds * 4 cues at least; the ceiling is what is expected of them
            assert each["exact"]["mean"] == pytest.approx(each["ceiling"]["exact"], abs=0.15)
            assert each["exact_ratio"]["mean"] == pytest.approx(1.0, abs=0.15)
            assert each["spurious"] == 0.0
            assert each["fixed_point_rate"]["mean"] == 1.0
            assert each["familiarity"]["mean"] == 1.0
        assert each["overlap"]["mean"] <= each["ceiling"]["overlap"] + 0.02


def test_numbers_are_over_seeds(summary):
    found = cell(summary, "hopfield", 8, "flip:0.1")["overlap"]
    assert found["mean"] == pytest.approx(np.mean(found["per_seed"]))
    assert found["low"] <= found["mean"] <= found["high"]
    differences = [
        each for each in summary["differences"] if each["patterns"] == 8 and each["corruption"] == "flip:0.1"
    ]
    assert {each["memory"] for each in differences} | {each["than"] for each in differences} == set(SMALL["memory"])
    for each in differences:
        ours, best = (cell(summary, each[name], 8, "flip:0.1") for name in ("memory", "than"))
        paired = np.subtract(ours["overlap"]["per_seed"], best["overlap"]["per_seed"])
        assert each["overlap"]["per_seed"] == pytest.approx(paired)
        assert each["overlap"]["mean"] <= 0.0


def test_bits_that_recall_adds(summary):
    found = cell(summary, "nearest_neighbor", 8, "flip:0.1")
    wrong = (1.0 - np.array(cell(summary, "identity", 8, "flip:0.1")["overlap"]["per_seed"])) / 2.0
    entropy = -wrong * np.log2(wrong) - (1.0 - wrong) * np.log2(1.0 - wrong)
    assert found["bits_per_parameter"] == pytest.approx(entropy.mean() * 8 * 40 / found["parameters"], rel=1e-3)
    assert cell(summary, "identity", 8, "flip:0.1")["bits_per_parameter"] == 0.0


def test_a_seed_is_the_same_alone(tmp_path, summary):
    play(tmp_path, config(seeds=1, first_seed=2))
    alone = summary_of(tmp_path)
    for each in alone["cells"]:
        together = cell(summary, each["memory"], each["patterns"], each["corruption"])
        for name in ("overlap", "exact", "fixed_point_rate", "familiarity"):
            assert each[name]["per_seed"][0] == together[name]["per_seed"][2]
        assert each["overlap"]["low"] is None


@pytest.mark.slow
def test_an_interrupted_benchmark_resumes_to_the_same_result(tmp_path):
    play(tmp_path / "whole", config())
    run = play(tmp_path / "parts", config(), cells=5)
    with Store(tmp_path / "parts") as store:
        record = store.find(run)
        assert (record.status, record.step, record.steps) == ("interrupted", 5, 12)
        steps = [snapshot.n_done for snapshot in loop.recall(config(), store, run)]
        assert steps == [5, 6, 7, 8, 9, 10, 11, 12]
    with Store(tmp_path / "whole") as whole, Store(tmp_path / "parts") as parts:
        assert reproduce.compare(reproduce.rows(whole, "r1"), reproduce.rows(parts, "r1")) is None
        assert parts.find("r1").status == "done"
    assert reproduce.again("r1", str(tmp_path / "parts"))["identical"]


def test_a_stochastic_recall_resumes_to_the_same_result(tmp_path):
    drawing = {"seeds": 2, "patterns": [4], "corruption": ["flip:0.1", "flip:0.2", "erase:0.5"]}
    given = config(**drawing, memory={"boltzmann": {"learn": {"updates": 10}}})
    play(tmp_path / "whole", given)
    run = play(tmp_path / "parts", given, cells=2)
    with Store(tmp_path / "whole") as whole, Store(tmp_path / "parts") as parts:
        for _ in loop.recall(given, parts, run):
            pass
        assert reproduce.compare(reproduce.rows(whole, "r1"), reproduce.rows(parts, "r1")) is None


def test_a_cell_does_not_depend_on_the_corruptions_beside_it(tmp_path):
    corruptions = ["flip:0.01", "flip:0.45", "erase:0.5"]
    only = {"patterns": [30], "memory": {"modern_hopfield": {}}}
    for name, order in {"one": corruptions, "other": corruptions[::-1]}.items():
        play(tmp_path / name, config(**only, corruption=order))
    one, other = summary_of(tmp_path / "one"), summary_of(tmp_path / "other")
    for corruption in corruptions:
        for score in ("fixed_point_rate", "overlap", "exact"):
            here, there = (cell(each, "modern_hopfield", 30, corruption)[score] for each in (one, other))
            assert here["per_seed"] == there["per_seed"]


def test_the_basin_radius_is_zero_without_stable_patterns(tmp_path):
    blurred = {"modern_hopfield": {"recall_mode": "single_pass", "beta": 0.001}}
    play(tmp_path, config(seeds=2, patterns=[8], corruption=["flip:0.1"], memory=blurred, basin=True))
    (found,) = summary_of(tmp_path)["basins"]
    assert found["radius"]["mean"] == 0.0


def test_the_contents_of_an_image_folder_are_part_of_the_settings(tmp_path):
    draws = np.random.Generator(np.random.PCG64(0))
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", draws.random((12, 5, 5)))
    first = config(challenge={"name": "images", "path": str(tmp_path / "a.npy")})
    before = codec.settings_hash(first)
    np.save(tmp_path / "a.npy", draws.random((12, 5, 5)))
    assert codec.settings_hash(first) != before


def test_settings_go_to_toml_and_back():
    given = config(memory={"a": {"name": "hopfield"}, "b": {"name": "hopfield-storkey"}})
    again = codec.from_toml(recall_config.RecallConfig, codec.to_toml(given), "text")
    assert again == given
    assert codec.settings_hash(again) == codec.settings_hash(given)
    assert codec.settings_hash(config(threads=2)) == codec.settings_hash(config())
    assert codec.settings_hash(config(novel=11)) != codec.settings_hash(config())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"memory": {"hopfeld": {}}}, "unknown memory 'hopfeld'; did you mean hopfield"),
        ({"memory": {}}, "expected at least one memory"),
        ({"memory": {"hopfield": {"rule": "hebbb"}}}, r"memory\.hopfield\.rule = 'hebbb': expected one of"),
        ({"challenge": {"name": "digitz"}}, "unknown challenge 'digitz'; did you mean digits"),
        ({"challenge": {}}, r"challenge\.name is missing"),
        ({"patterns": [0]}, "patterns"),
        ({"patterns": []}, "patterns"),
        ({"corruption": []}, "corruption"),
        ({"memory": 3}, "memory = 3: expected a table"),
        ({"challenge": "digits"}, "challenge = 'digits': expected a table"),
        ({"memory": {"nearest_neighbor": 3}}, r"memory\.nearest_neighbor = 3: expected a table"),
        ({"pattern": [4]}, "no such setting; did you mean patterns"),
    ],
)
def test_bad_settings_are_refused_in_one_line(changes, said):
    with pytest.raises(ValueError, match=said) as error:
        config(**changes)
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"corruption": ["flop:0.1"]}, "flip"),
        ({"corruption": ["flip:1.5"]}, "expected"),
        (
            {"patterns": [40], "memory": {"hopfield": {"rule": "pseudo_inverse"}}},
            "hopfield, 40 patterns, flip:0.1: .*expected",
        ),
        ({"challenge": {"name": "digits"}, "patterns": [5000]}, "expected"),
    ],
)
def test_an_impossible_benchmark_leaves_no_run(tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        play(tmp_path / "lab", config(**changes))
    assert not (tmp_path / "lab").exists()


def test_a_refusal_is_marked_while_others_continue(tmp_path):
    rules = {"nearest_neighbor": {}, "hopfield": {"rule": "pseudo_inverse"}}
    play(tmp_path, config(patterns=[4, 40], skip=True, memory=rules))
    found = summary_of(tmp_path)
    assert {(each["memory"], each["patterns"]) for each in found["refused"]} == {("hopfield", 40)}
    assert len(found["cells"]) == 6
    assert "expected" in found["refused"][0]["why"]


@pytest.mark.slow
def test_a_memory_that_cannot_be_built_is_listed_with_its_reason(tmp_path, capsys):
    memories = {"conv_autoencoder": {}, "boltzmann": {}, "nearest_neighbor": {}}
    grey = {"corruption": ["gauss:0.5", "none"], "novel": 5, "challenge": {"name": "digits", "levels": "grey"}}
    bits = {"corruption": ["flip:0.1", "none"], "challenge": {"name": "random_bits", "n_units": 40}}
    for n, (asked, out, why) in enumerate(
        [
            (bits, "conv_autoencoder", "expected"),
            (grey, "boltzmann", "patterns of real numbers, expected bipolar units"),
        ]
    ):
        competing = {name: {} for name in memories if name == out or name == "nearest_neighbor"}
        given = config(**asked, seeds=2, patterns=[4], memory=competing)
        with pytest.raises(ValueError, match="--skip leaves it out"):
            play(tmp_path / f"no{n}", given)
        assert not (tmp_path / f"no{n}").exists()
        lab, skipping = tmp_path / str(n), config(**asked, seeds=2, patterns=[4], memory=competing, skip=True)
        run = play(lab, skipping, cells=1)  # two cells of each memory; go on after the first
        with Store(lab) as store:
            for _ in loop.recall(skipping, store, run):
                pass
        found = summary_of(lab)
        assert [each["memory"] for each in found["cells"]] == ["nearest_neighbor"] * 2
        assert [each["bits_per_parameter"] is None for each in found["cells"]] == [asked is grey] * 2  # no bits
        assert [each["memory"] for each in found["refused"]] == [out] * 2
        assert all(why in each["why"] for each in found["refused"])
        recall_tables.show(found)
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("cannot store")]
        assert len(lines) == 1
        assert lines[0].startswith(f"cannot store: {out}: ")
        assert reproduce.again("r1", str(lab))["identical"]


def test_without_any_memory_there_is_no_benchmark(tmp_path):
    grey = {"corruption": ["none"], "challenge": {"name": "digits", "levels": "grey"}}
    with pytest.raises(ValueError, match="expected bipolar units"):
        play(tmp_path / "lab", config(**grey, patterns=[4], memory={"boltzmann": {}}, skip=True))
    assert not (tmp_path / "lab").exists()


HEARS = {
    "rbm": {"learn": {"updates": 5}},
    "hopfield": {"recall_mode": "noise_aware"},
    "nearest_neighbor": {"recall_mode": "noise_aware"},
}


@pytest.mark.slow
@pytest.mark.parametrize("corruption", ["none", "flip:0.0", "erase:0.0"])
def test_without_corruption_there_is_no_evidence(tmp_path, corruption, capsys):
    """40 patterns of 40 units are too many for all but the list; what is certain of a cue would be the answer."""
    given = {"patterns": [40], "novel": 1, "seeds": 2, "memory": {**HEARS, "identity": {}}}
    play(tmp_path, config(**given, corruption=[corruption, "flip:0.01"]))
    found = summary_of(tmp_path)
    for name in ("rbm", "hopfield"):
        whole, noisy = (cell(found, name, 40, each) for each in (corruption, "flip:0.01"))
        assert whole["overlap"]["mean"] < 0.95
        assert whole["exact"]["mean"] < 0.5
        assert (whole["used_evidence"], noisy["used_evidence"]) == (False, True)
        assert (
            whole["exact"]["per_seed"] == whole["fixed_point_rate"]["per_seed"] == noisy["fixed_point_rate"]["per_seed"]
        )
    assert cell(found, "nearest_neighbor", 40, corruption)["exact"]["mean"] == 1.0
    assert cell(found, "identity", 40, corruption)["ceiling"] == {"overlap": 1.0, "exact": 1.0}
    recall_tables.show(found)
    assert capsys.readouterr().out.count("noise-aware, no evidence") == 3


def test_fixed_points_are_tested_once_in_blocks_and_for_no_more_patterns_than_cues(tmp_path, monkeypatch):
    asked = []
    recall = Identity.recall

    def counted(self, cues, known=None, evidence=None):
        asked.append(cues.shape[1])
        return recall(self, cues, known, evidence)

    monkeypatch.setattr(Identity, "recall", counted)
    monkeypatch.setattr(benchmark, "RECALL_BATCH", 3)
    corruptions = ["flip:0.1", "flip:0.2", "none"]
    for cues, pieces in ((0, [3, 3, 2]), (5, [3, 2])):
        asked.clear()
        play(tmp_path / str(cues), config(patterns=[8], corruption=corruptions, cues=cues, memory={"identity": {}}))
        assert asked == [*pieces, *[cues or 8] * len(corruptions)]
    (fixed,) = {each["fixed_point_rate"]["mean"] for each in summary_of(tmp_path / "5")["cells"]}
    assert fixed == 1.0


def test_the_reconstruction_error_is_that_of_held_out_patterns(tmp_path):
    memories = {"few": {"name": "pca", "n_components": 2}, "many": {"name": "pca", "n_components": 64}, "hopfield": {}}
    given = {"patterns": [200], "corruption": ["none"], "seeds": 1, "novel": 100, "challenge": {"name": "digits"}}
    play(tmp_path, config(**given, memory=memories))
    found = {each["memory"]: each["reconstruction_error"] for each in summary_of(tmp_path)["cells"]}
    split = digits.make([0], digits.Config()).draw(200, 100)
    reference = decomposition.PCA(2).fit(split.stored[0])
    restored = reference.inverse_transform(reference.transform(split.held_out[0])).clip(-1.0, 1.0)
    error = np.square((restored - split.held_out[0]) / 2.0).sum(1).mean()
    assert found["few"] == pytest.approx(error, rel=1e-4)
    assert found["many"] < 0.3 < found["few"]
    assert found["hopfield"] is None


def test_codes_of_no_width_have_no_precision(tmp_path):
    learn = {"updates": 5}
    memories = {
        "none": {"name": "boltzmann", "learn": learn},
        "some": {"name": "boltzmann", "n_hidden": 3, "learn": learn},
    }
    given = {"patterns": [8], "corruption": ["flip:0.1"], "seeds": 2, "challenge": {"name": "digits"}}
    play(tmp_path, config(**given, memory=memories))
    found = {each["memory"]: each for each in summary_of(tmp_path)["cells"]}
    assert found["none"]["latent_precision"] is None
    assert 0.0 <= found["some"]["latent_precision"] <= 1.0
    assert found["none"]["pixel_precision"] == found["some"]["pixel_precision"]


@pytest.mark.slow
def test_capacity_and_basins(tmp_path):
    hard = {
        "memory": {"nearest_neighbor": {}, "hopfield": {}},
        "patterns": [3],
        "corruption": ["flip:0.05"],
        "seeds": 4,
    }
    play(tmp_path, config(**hard, basin=True, capacity=True, challenge={"name": "random_bits", "n_units": 40}))
    found = summary_of(tmp_path)
    by_name = {each["memory"]: each for each in found["capacities"]}
    hopfield = by_name["hopfield"]
    assert 1 <= hopfield["most"]["mean"] <= hopfield["half"]["mean"] <= 12  # .138 * 40 is 5.5
    assert by_name["nearest_neighbor"]["half"]["mean"] > 100
    assert hopfield["exact"][0] > 0.9 > 0.5 > hopfield["exact"][-1]
    assert by_name["nearest_neighbor"]["beyond"] == ["half"] or by_name["nearest_neighbor"]["beyond"] == [
        "half",
        "most",
    ]
    radius = {each["memory"]: each["radius"]["mean"] for each in found["basins"]}
    assert 0.1 < radius["hopfield"] <= radius["nearest_neighbor"] < 0.5


def test_an_unknown_label_of_a_dotted_path():
    with pytest.raises(ValueError, match=r"unknown memory 'no_such\.module'"):
        find_memory("no_such.module")


PICTURE = RecallPicture(
    (2, 3),
    np.array([[1, -1, 1, -1, 1, -1]], np.float32),
    np.array([[1, 0, 1, -1, -1, -1]], np.float32),
    np.array([[1, -1, 1, -1, 1, -1]], np.float32),
    np.array([-1.0, -3.0, -4.0, np.nan]),
)
SNAPSHOT = RecallSnapshot(
    "r7", ("nearest_neighbor", "hopfield"), "digits", "running", (0, 1), 3, 12, 4.2, "hopfield, 8 patterns, flip:0.1",
    PICTURE, dict.fromkeys(SCORES[:4], 0.5), "hopfield, 4 patterns, erase:0.5",
)  # fmt: skip


def test_the_page_shows_the_progress_and_a_recalled_cue():
    text = page_of(SNAPSHOT, (80, 24), TerminalStyle()).plain.splitlines()
    assert [line.rstrip() for line in text] == [
        "r7  memories recall digits  2 seeds  running",
        "3 of 12 cells  4.2 s",
        "hopfield, 4 patterns, erase:0.5  overlap 0.500  ceiling overlap 0.500",
        "now  hopfield, 8 patterns, flip:0.1",
        "energy -1 to -4 in 2 sweeps  █▃▁",
        "",
        "stored   cue      recall",
        "██  ██   ██▒▒██   ██  ██",
        "  ██                ██",
    ]
    assert page_of(SNAPSHOT, (30, 6), TerminalStyle(ascii=True)).plain.isascii()
    assert "3 of 12 cells" in plain_line(SNAPSHOT)


def test_patterns_without_a_picture_are_folded_and_large_ones_cut():
    assert grid_of(np.ones(7), (7,)).shape == (3, 3)
    assert len(pattern_lines(np.ones((90, 90)), TerminalStyle())) == 40
    assert recall_lines(PICTURE, (10, 10), TerminalStyle()) == []
    assert energy_line(np.array([np.nan]), TerminalStyle()) == ""


def test_without_a_terminal_a_benchmark_prints_a_dozen_lines():
    out = io.StringIO()
    view = terminal_view(Console(file=out, width=60))
    for n in range(101):
        view.show(dataclasses.replace(SNAPSHOT, n_done=n, n_cells=100, phase="done" if n == 100 else "running"))
    view.close()
    assert len(out.getvalue().splitlines()) == 11
