"""Tests of event files: their bytes by an independent reader, and their numbers against the run's own."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

import simulator
from simulator.training.tensorboard import MAX_SEEDS, crc32c, event

KINDS = {0: "varint", 1: "fixed64", 2: "bytes", 5: "fixed32"}


def checksum(data: bytes) -> int:
    """CRC-32C bit by bit, masked as TFRecord has it."""
    crc = 0xFFFFFFFF
    for bit in (byte >> at & 1 for byte in data for at in range(8)):
        crc = (crc >> 1) ^ (0x82F63B78 * ((crc ^ bit) & 1))
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17) & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def records(path: Path) -> list[bytes]:
    data = path.read_bytes()
    found = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        (of_length,) = struct.unpack("<I", data[8:12])
        content = data[12 : 12 + length]
        (of_content,) = struct.unpack("<I", data[12 + length : 16 + length])
        assert (checksum(data[:8]), checksum(content)) == (of_length, of_content)
        found.append(content)
        data = data[16 + length :]
    return found


def varint(data: bytes) -> tuple[int, bytes]:
    number = 0
    for at, byte in enumerate(data):
        number |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return number, data[at + 1 :]
    raise AssertionError("a number that does not end")


def fields(data: bytes) -> list[tuple[int, object]]:
    """Decode the fields of a message, by the encoding of protocol buffers."""
    found: list[tuple[int, object]] = []
    while data:
        key, data = varint(data)
        kind = KINDS[key & 7]
        if kind == "varint":
            value, data = varint(data)
            found.append((key >> 3, value))
            continue
        size, data = varint(data) if kind == "bytes" else ({"fixed64": 8, "fixed32": 4}[kind], data)
        raw, data = data[:size], data[size:]
        found.append((key >> 3, raw if kind == "bytes" else struct.unpack("<d" if size == 8 else "<f", raw)[0]))
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read all scalars of a folder's event files: tag -> (step, value)."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        head, *rest = records(path)
        assert dict(fields(head))[3] == b"brain.Event:2"
        for record in rest:
            message = dict(fields(record))
            for _, value in fields(message[5]):
                named = dict(fields(value))
                found.setdefault(named[1].decode(), []).append((message.get(2, 0), named[2]))
    return found


def test_checksums_are_those_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


def test_an_event_has_the_bytes_that_protocol_buffers_give():
    expected = bytes.fromhex("09000000000000f83f10ac022a0a0a080a0161150000003f")
    assert event(1.5, 300, {"a": 0.5}) == expected
    assert event(1.5, 0, version="brain.Event:2") == bytes.fromhex("09000000000000f83f1a0d") + b"brain.Event:2"


def test_a_run_writes_its_curve_and_evaluations_for_every_seed_and_their_mean(tmp_path):
    result = simulator.run(
        "q_learning",
        "CartPole-v1",
        lab=tmp_path / "lab",
        seeds=3,
        steps=2_000,
        eval_episodes=2,
        tensorboard=tmp_path / "events",
    )
    assert sorted(path.name for path in (tmp_path / "events" / "r1").iterdir()) == ["mean", *_seeds(3)]
    curve = result.curve()
    steps, scores = result.evaluations()
    for row in range(3):
        read = scalars(tmp_path / "events" / "r1" / f"seed-{row}")
        ended = np.flatnonzero(curve.episodes[row])
        assert [step for step, _ in read["rollout/ep_rew_mean"]] == curve.steps[ended].tolist()
        values = [value for _, value in read["rollout/ep_rew_mean"]]
        np.testing.assert_allclose(values, curve.mean_return[row, ended], rtol=1e-6)
        np.testing.assert_allclose(read["eval/mean_reward"], np.stack([steps, scores[row]], axis=1), rtol=1e-6)
        assert read["train/td_error"][-1][0] == 2_000
    mean = scalars(tmp_path / "events" / "r1" / "mean")
    np.testing.assert_allclose([value for _, value in mean["eval/mean_reward"]], scores.mean(axis=0), rtol=1e-6)
    assert mean["time/fps"][-1][1] > 0


def _seeds(n):
    return [f"seed-{seed}" for seed in range(n)]


def test_a_run_that_goes_on_adds_what_is_new(tmp_path, engram, monkeypatch):
    monkeypatch.chdir(tmp_path)

    monkeypatch.setattr("simulator.training.loop.REPORT_EVERY", 0.0)

    def goes_on(snapshot):
        return snapshot.step == 0

    steps = 400_000
    first = simulator.run("random_walk", "rooms", seeds=1, steps=steps, callback=goes_on, tensorboard="events")
    assert 0 < first.summary["step"] < steps
    engram("resume", "r1", "--view", "none", "--tensorboard", "events")
    read = scalars(tmp_path / "events" / "r1" / "seed-0")["rollout/ep_rew_mean"]
    curve = simulator.load("r1").curve()
    assert [step for step, _ in read] == curve.steps.tolist()


def test_a_trainer_and_the_command_write_too(tmp_path, engram, monkeypatch):
    monkeypatch.chdir(tmp_path)
    simulator.Trainer("q_learning", "CartPole-v1", tensorboard="events").learn(500)
    trainer = simulator.Trainer("q_learning", "CartPole-v1", tensorboard="events").learn(300).learn(200)
    first, second = (scalars(tmp_path / "events" / f"q_learning_{n}" / "seed-0") for n in (1, 2))
    assert len(first["train/td_error"]) == 100
    assert len(second["train/td_error"]) == 200
    curve = trainer.curve()
    assert [step for step, _ in second["rollout/ep_rew_mean"]] == curve.steps[curve.episodes[0] > 0].tolist()
    words = ["run", "random_walk", "rooms", "--seeds", "2", "--steps", "100", "--eval-episodes", "1", "--view", "none"]
    engram(*words, "--tensorboard", "events")
    assert sorted(path.name for path in (tmp_path / "events" / "r1").iterdir()) == ["mean", *_seeds(2)]
    (tmp_path / "file").write_text("")
    assert "file: cannot be made" in engram(*words, "--tensorboard", "file", code=2).err
    assert "expected --view" in engram("resume", _benchmark(), "--tensorboard", "events", code=2).err
    assert [row["run"] for row in engram("list", "runs", "--json").json["runs"]] == ["r1", "r2"]


def _benchmark() -> str:
    return simulator.recall("hopfield", "digits", seeds=1, patterns=[3]).run


def test_many_seeds_are_written_as_their_mean_alone(tmp_path):
    few = {"eval_every": 50, "eval_episodes": 1}
    simulator.run(
        "random_walk", "rooms", lab=tmp_path / "lab", seeds=MAX_SEEDS + 1, steps=50, **few, tensorboard=tmp_path
    )
    assert [path.name for path in (tmp_path / "r1").iterdir()] == ["mean"]


@pytest.mark.optional
def test_tensorboard_reads_it(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    simulator.run(
        "q_learning", "CartPole-v1", lab=tmp_path / "lab", seeds=1, steps=500, eval_episodes=1, tensorboard=tmp_path
    )
    events = accumulator.EventAccumulator(str(tmp_path / "r1" / "mean"))
    events.Reload()
    assert set(events.Tags()["scalars"]) >= {"rollout/ep_rew_mean", "eval/mean_reward", "train/td_error"}
    read = [(each.step, each.value) for each in events.Scalars("eval/mean_reward")]
    assert read == scalars(tmp_path / "r1" / "mean")["eval/mean_reward"]
