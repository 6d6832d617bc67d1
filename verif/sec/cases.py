# SPDX-License-Identifier: Apache-2.0
"""Scores dense in the cases that go wrong, and the beats that carry them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.sec.importance import Scores
from focus_rtl.golden.sec.sec import sweeps

__all__ = ["EVENTS", "KINDS", "Rows", "beats", "joined", "kept_words", "rows_of", "softmax_rows"]

Generator = np.random.Generator

HOSTILE = np.array((0x7E00, 0x7C01, 0xFFFF, 0xFC01, 0x8000, 0x8001, 0xBC00, 0xFC00), np.uint16)
"""Quiet and signalling NaN of both signs, -0, the least negative number, -1, -infinity: all count as 0."""

EDGES = np.array((0x7C00, 0x7BFF, 0x0001, 0x03FF, 0x0400, 0x3C00, 0x0000), np.uint16)
"""Infinity, the largest number, subnormals, the least normal one, 1, 0."""

KINDS = ("softmax", "many ties", "all equal", "all zero", "NaN and negative", "edges", "any bits", "ascending")
"""What rows of scores can be like."""

EVENTS = {*KINDS, "one token", "most tokens", "no multiple of the lanes", "multiple of the lanes", "k = 1", "k = all"}


@dataclass(frozen=True, eq=False)
class Rows:
    """rows : (rows, tokens) uint16.  kind : of `KINDS`."""

    rows: Scores
    kind: str


def softmax_rows(rng: Generator, rows: int, tokens: int, depth: int = 16) -> Scores:
    """softmax(q k^T / sqrt(d)) of random, correlated q and k, rounded to binary16: scores as they really are."""
    keys = np.cumsum(rng.normal(size=(tokens, depth)), axis=0) / 3
    logits = rng.normal(size=(rows, depth)) @ keys.T / np.sqrt(depth)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray((powers / powers.sum(axis=1, keepdims=True)).astype(np.float16).view(np.uint16))


def rows_of(rng: Generator, kind: str, rows: int, tokens: int) -> Rows:
    """Rows of that kind."""
    size = (rows, tokens)
    makers: dict[str, Callable[[], NDArray[Any]]] = {
        "softmax": lambda: softmax_rows(rng, rows, tokens),
        "many ties": lambda: rng.choice(np.array((0x3000, 0x3001, 0x3400, 0), np.uint16), size),
        "all equal": lambda: np.full(size, rng.integers(1, 0x7C01), np.uint16),
        "all zero": lambda: np.zeros(size, np.uint16),
        "NaN and negative": lambda: np.where(rng.random(size) < 0.7, rng.choice(HOSTILE, size),
                                             rng.integers(0, 0x7C01, size).astype(np.uint16)),
        "edges": lambda: rng.choice(EDGES, size),
        "any bits": lambda: rng.integers(0, 1 << 16, size).astype(np.uint16),
        "ascending": lambda: np.tile(np.arange(1, tokens + 1, dtype=np.uint16), (rows, 1)),
    }
    return Rows(np.asarray(makers[kind](), dtype=np.uint16), kind)


def joined(words: NDArray[Any], bits: int) -> int:
    """Words of `bits` bits as one integer, the first low."""
    return sum(int(word) << bits * place for place, word in enumerate(words))


def beats(rng: Generator, rows: Scores, lanes: int, spatial: bool) -> Iterator[int]:
    """Payloads of `scores`: a token's rows side by side, or a row's tokens; lanes without a token carry anything."""
    count, tokens = rows.shape
    if spatial:
        whole = np.zeros((sweeps(count, lanes, True) * lanes, tokens), np.uint16)
        whole[:count] = rows
        for low in range(0, len(whole), lanes):
            yield from (joined(column, 16) for column in whole[low:low + lanes].T)
        return
    padding = -tokens % lanes
    for row in rows:
        whole = np.concatenate((row, rng.integers(0, 1 << 16, padding).astype(np.uint16)))
        yield from (joined(word, 16) for word in whole.reshape(-1, lanes))


def kept_words(kept: NDArray[np.bool_], lanes: int) -> list[int]:
    """A mask over tokens as words, `last` of each in the bit above."""
    whole = np.concatenate((kept, np.zeros(-len(kept) % lanes, np.bool_))).reshape(-1, lanes)
    return [joined(word, 1) | (number == len(whole) - 1) << lanes for number, word in enumerate(whole)]
