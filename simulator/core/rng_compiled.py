"""Random numbers for compiled code, from the states of :func:`simulator.core.rng.pcg64_states`.

PCG64 (O'Neill 2014, XSL-RR 128/64) in 128-bit arithmetic, bit for bit numpy's: ``uniform`` equals
``Generator.random()``, and a stream can change hands between the two at any point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from simulator.core.jit import jit_inline

_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
_WORD = ir.IntType(64)
_LONG = ir.IntType(128)


@intrinsic
def _advance(typing: Any, high: Any, low: Any, inc_high: Any, inc_low: Any) -> Any:
    """Map state and increment, two 64-bit halves each, to the next state's halves and the 64 output bits."""
    signature = types.UniTuple(types.uint64, 3)(*[types.uint64] * 4)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def join(upper: Any, lower: Any) -> Any:
            wide = builder.shl(builder.zext(upper, _LONG), ir.Constant(_LONG, 64))
            return builder.or_(wide, builder.zext(lower, _LONG))

        state = builder.mul(join(args[0], args[1]), ir.Constant(_LONG, _MULTIPLIER))
        state = builder.add(state, join(args[2], args[3]))
        upper = builder.trunc(builder.lshr(state, ir.Constant(_LONG, 64)), _WORD)
        lower = builder.trunc(state, _WORD)
        mixed = builder.xor(upper, lower)
        turn = builder.lshr(upper, ir.Constant(_WORD, 58))
        back = builder.and_(builder.sub(ir.Constant(_WORD, 64), turn), ir.Constant(_WORD, 63))
        bits = builder.or_(builder.lshr(mixed, turn), builder.shl(mixed, back))
        return context.make_tuple(builder, signature.return_type, [upper, lower, bits])

    return signature, build


@jit_inline
def bits(streams, i):
    """Draw the next 64 random bits of stream i of ``streams`` (uint64 [S, 4], moved on in place)."""
    high, low, out = _advance(streams[i, 0], streams[i, 1], streams[i, 2], streams[i, 3])
    streams[i, 0] = high
    streams[i, 1] = low
    return out


@jit_inline
def uniform(streams, i):
    """Draw a float64 in [0, 1): the bits of ``numpy.random.Generator.random``."""
    return (bits(streams, i) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@jit_inline
def below(streams, i, n):
    """Draw an integer in [0, n), from one float. Bias below n / 2**53."""
    return min(np.int64(uniform(streams, i) * n), n - 1)


@jit_inline
def normal(streams, i):
    """Draw a standard normal number (Box and Muller 1958, the cosine half)."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(streams, i)))
    return radius * np.cos(2.0 * np.pi * uniform(streams, i))


@jit_inline
def categorical(streams, i, cumulative):
    """Draw an index: the first whose cumulative probability exceeds a uniform number; 0 if rounding left none.

    The rule of ``gymnasium.envs.toy_text.utils.categorical_sample``, by counting or by bisection.
    """
    draw = uniform(streams, i)
    low = 0
    n = len(cumulative)
    if n <= 16:
        for j in range(n):  # no early exit: a branch that cannot be foreseen costs more than the comparison
            low += cumulative[j] <= draw
    high = n if n > 16 else low
    while low < high:
        middle = (low + high) // 2
        if cumulative[middle] > draw:
            high = middle
        else:
            low = middle + 1
    return low if low < n else 0
