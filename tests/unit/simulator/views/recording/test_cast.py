"""Tests of asciicasts: played by a terminal that knows what they use."""

from __future__ import annotations

import io
import json
import re

from simulator.views.recording.cast import CastWriter


def played(data, n_events=None):
    """Return the lines of the terminal after some events: text at places, cleared to the end of each line."""
    _, *events = [json.loads(line) for line in data.decode().splitlines()]
    lines = {}
    for _, kind, text in events[:n_events]:
        assert kind == "o"
        for row, words in re.findall(r"\x1b\[(\d+);1H([^\x1b]*)(?:\x1b\[0m\x1b\[K)?", text):
            lines[int(row)] = words
    return [lines.get(row, "") for row in range(1, max(lines, default=0) + 1)]


def test_pages_are_what_a_terminal_shows():
    file = io.BytesIO()
    writer = CastWriter(file, (20, 4), "a run")
    writer.add(["one", "two", "ü"], 0.5)
    writer.add(["one", "zwei", "ü"], 0.25)
    writer.add(["one", "zwei", "ü"], 0.25)
    writer.add(["one", "", "", "four", "beyond"], 1.0)
    writer.close()
    data = file.getvalue()
    head, *events = [json.loads(line) for line in data.decode().splitlines()]
    assert (head["version"], head["width"], head["height"], head["title"]) == (2, 20, 4, "a run")
    assert [event[0] for event in events] == [0.0, 0.5, 1.0, 2.0]
    assert played(data, 1) == ["one", "two", "ü"]
    assert played(data, 2) == ["one", "zwei", "ü"]
    assert played(data, 3) == ["one", "", "", "four"]
    assert "one" not in events[1][2]
    assert events[-1][2].endswith("\x1b[?25h\r\n")
