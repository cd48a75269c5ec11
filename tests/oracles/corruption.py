"""Every outcome of a corruption of a tiny pattern with its probability, by enumeration."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, permutations, product

LOST = "lost"  # a unit of which the cue knows nothing


def law(name, amount, pattern, shape, stored=()):
    """Return cue -> probability; a cue is a tuple of numbers, LOST where the mask hides the unit."""
    found = defaultdict(float)
    if name in UNITS:
        for outcome in product(*(UNITS[name](x, amount).items() for x in pattern)):
            prob = 1.0
            for _, each in outcome:
                prob *= each
            found[tuple(value for value, _ in outcome)] += prob
    else:
        outcomes = list(WHOLE[name](pattern, amount, shape, stored))
        for prob, cue in outcomes:
            found[cue] += prob
    return {cue: prob for cue, prob in found.items() if prob > 0}


def _sum(*pairs):
    total = defaultdict(float)
    for value, prob in pairs:
        total[value + 0.0] += prob
    return total


UNITS = {
    "flip": lambda x, p: _sum((-x, p), (x, 1 - p)),
    "salt": lambda x, p: _sum((1.0, p / 2), (-1.0, p / 2), (x, 1 - p)),
    "hide": lambda x, p: _sum((-1.0, p), (x, 1 - p)),
    "erase": lambda x, p: {LOST: p, x: 1 - p},
    "none": lambda x, p: {x: 1.0},
}


def _flips(pattern, k, shape, stored):
    choices = list(combinations(range(len(pattern)), int(k)))
    for choice in choices:
        yield 1 / len(choices), tuple((-x if i in choice else x) + 0.0 for i, x in enumerate(pattern))


def _block(pattern, share, shape, stored):
    height, width = shape if len(shape) == 2 else (1, shape[0])
    sizes = list(product(range(1, height + 1), range(1, width + 1)))
    least = min(abs(h * w - share * height * width) for h, w in sizes)
    sizes = [(h, w) for h, w in sizes if abs(abs(h * w - share * height * width) - least) < 1e-9]
    shortest = min(h + w for h, w in sizes)
    boxes = [
        (top, left, h, w)
        for h, w in sizes
        if h + w == shortest
        for top in range(height - h + 1)
        for left in range(width - w + 1)
    ]
    for top, left, h, w in boxes:
        yield (
            1 / len(boxes),
            tuple(
                LOST if top <= i // width < top + h and left <= i % width < left + w else x
                for i, x in enumerate(pattern)
            ),
        )


def _shift(pattern, k, shape, stored):
    height, width = shape if len(shape) == 2 else (1, shape[0])
    reach = range(-int(k), int(k) + 1)
    moves = list(product(reach if height > 1 else (0,), reach))
    for down, right in moves:
        cue = [-1.0] * len(pattern)
        for i, x in enumerate(pattern):
            row, column = i // width + down, i % width + right
            if 0 <= row < height and 0 <= column < width:
                cue[row * width + column] = x
        yield 1 / len(moves), tuple(cue)


def _mix(pattern, p, shape, stored):
    others = [other for other in stored if other != pattern]
    for other in others:
        for choice in product((False, True), repeat=len(pattern)):
            prob = p ** sum(choice) * (1 - p) ** (len(choice) - sum(choice))
            yield (
                prob / len(others),
                tuple(y if taken else x for x, y, taken in zip(pattern, other, choice, strict=True)),
            )


def _replace(pattern, p, shape, stored):
    """Every subset of the units above -1 moves; where there is no room for all of them, any as many as there is."""
    spoken = [i for i, x in enumerate(pattern) if x > -1]
    free = [i for i, x in enumerate(pattern) if x == -1]
    for choice in product((False, True), repeat=len(spoken)):
        prob = p ** sum(choice) * (1 - p) ** (len(choice) - sum(choice))
        chosen = [i for i, taken in zip(spoken, choice, strict=True) if taken]
        kept = list(combinations(chosen, min(len(chosen), len(free))))
        for moved in kept:
            ways = list(permutations(free, len(moved)))
            for places in ways:
                cue = [-1.0 if i in moved else x for i, x in enumerate(pattern)]
                for i, place in zip(moved, places, strict=True):
                    cue[place] = pattern[i]
                yield prob / len(kept) / len(ways), tuple(cue)


WHOLE = {"replace": _replace, "flips": _flips, "block": _block, "shift": _shift, "mix": _mix}
