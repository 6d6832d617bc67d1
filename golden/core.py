# SPDX-License-Identifier: Apache-2.0
"""The whole machine, without its structure: concentrated k-slices and weights -> a layer's concentrated output.

Twin of `hdl/core.py`.  A chain of layers is `slices = next_slices(concentrate(tokens, job, params))`, then
`result = run_layer(params, job, slices, weights)` and `slices = next_slices(result)` for each layer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.array.systolic import psums
from focus_rtl.golden.job import Counts, Job, Tile
from focus_rtl.golden.layer import gather_tile
from focus_rtl.golden.numeric.dtypes import Bits, check_bits
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sec.offsets import reach
from focus_rtl.golden.sec.sec import SecOrder, prune
from focus_rtl.golden.sic.gather import Gathered
from focus_rtl.golden.sic.scatter import leave, scatter

__all__ = ["Expected", "Slice", "concentrate", "dense_slices", "expected_counts", "next_slices", "output_counts",
           "run_layer", "tokens_of"]

Result = list[list[Gathered]]
"""result[t][n]: tile t, output vector n."""


@dataclass(frozen=True, eq=False)
class Slice:
    """A concentrated k-slice of a tile.

    vectors : (p, V) bits of elements; elements beyond K are +0.  p = 0: the slice is empty, every token's psum is
        nothing, and the accumulators stay as they are; its map is not looked at.
    index_map : (m_t,) int32, which of them stands for each token; not looked at in a dense job.
    """

    vectors: Bits
    index_map: NDArray[np.int32]

    @property
    def p(self) -> int:
        """Distinct vectors."""
        return len(self.vectors)


Slices = Sequence[Sequence[Slice]]
"""slices[t][k]: tile t, k-slice k."""


def _padded(matrix: Bits, rows: int, columns: int) -> Bits:
    """`matrix` with +0 below and to the right of it."""
    whole = np.zeros((rows, columns), dtype=matrix.dtype)
    whole[:matrix.shape[0], :matrix.shape[1]] = matrix
    return whole


def _check_slices(job: Job, counts: Counts, m_tile: int, slices: Slices) -> None:
    """Refuse slices that could not be put on the streams at all; bad maps and surplus vectors are the machine's."""
    if len(slices) != counts.tiles or any(len(row) != counts.slices for row in slices):
        raise ValueError(f"slices: must be {counts.tiles} tiles of {counts.slices} slices")
    beyond = job.k - (counts.slices - 1) * counts.vector
    for tile, row in zip(job.tiles, slices, strict=True):
        for k, part in enumerate(row):
            check_bits(f"vectors of slice {k}", part.vectors, job.dtype, (part.p, counts.vector))
            if job.dense or not part.p:
                continue
            if part.index_map.shape != (tile.tokens,):
                raise ValueError(f"index_map of slice {k} of shape {part.index_map.shape}: must be ({tile.tokens},)")
            if not 0 <= part.index_map.min() <= part.index_map.max() < m_tile:
                raise ValueError(f"index_map of slice {k}: must hold numbers between 0 and {m_tile - 1}")
        if row[-1].vectors[:, beyond:].any():
            raise ValueError(f"vectors of slice {counts.slices - 1}: elements beyond K = {job.k} must be +0")


def _accumulate(tile: Tile, job: Job, row: Sequence[Slice], weights: Bits,
                start: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """(m_t, N) uint32: the accumulators of a tile, from `start`, after all its k-slices; weights is (slices * V, N)."""
    acc = start
    for k, part in enumerate(row):
        if not part.p:
            continue
        vectors = part.vectors[:tile.tokens]  # a surplus is dropped, and the job ends with an error code
        index = np.arange(tile.tokens, dtype=np.int32) if job.dense else part.index_map
        v = vectors.shape[1]
        acc = scatter(acc, psums(vectors, weights[k * v:(k + 1) * v], job.dtype), index, job.dtype)
    return acc


def run_layer(params: Parameters, job: Job, slices: Slices, weights: Bits,
              scales: NDArray[np.float32] | None = None, preloads: NDArray[np.uint32] | None = None) -> Result:
    """One layer: every tile, every output vector.

    Parameters
    ----------
    job : checked against `params`.
    slices : slices[t][k], the concentrated input.
    weights : (K, N) bits of elements.
    scales : (N,) float32, finite and positive, what each output column is multiplied with; for int8 and only for it.
    preloads : (M, N) uint32, binary32 or int32 bits that the accumulators start from; where `job.preload` says so.

    Returns
    -------
    result[t][n] : Gathered; elements of the last vector beyond N are +0.

    Raises
    ------
    TypeError, ValueError : data that does not fit the job.
    """
    counts = job.check(params).counts(params)
    check_bits("weights", weights, job.dtype, (job.k, job.n))
    _check_slices(job, counts, params.m_tile, slices)
    padded = _padded(weights, counts.slices * params.vector, job.n)
    start = _started(job, preloads)
    return [gather_tile(leave(_accumulate(tile, job, row, padded, start[rows]), job.dtype, scales), tile, job,
                        params.vector, params.representative)
            for (tile, rows), row in zip(job.spans(), slices, strict=True)]


def _started(job: Job, preloads: NDArray[np.uint32] | None) -> NDArray[np.uint32]:
    """(M, N) uint32: what the accumulators start from."""
    if preloads is None and not job.preload:
        return np.zeros((job.tokens, job.n), np.uint32)
    if preloads is None or not job.preload:
        raise ValueError(f"preloads: must be given if and only if the job says preload, which is {job.preload}")
    if preloads.dtype != np.uint32:
        raise TypeError(f"preloads of dtype {preloads.dtype}: must be uint32")
    if preloads.shape != (job.tokens, job.n):
        raise ValueError(f"preloads of shape {preloads.shape}: must be ({job.tokens}, {job.n}), tokens and columns")
    return preloads


def concentrate(tokens: Bits, job: Job, params: Parameters) -> Result:
    """Gather applied to raw tokens (M, K): the first layer's input, once `next_slices` has made slices of it."""
    check_bits("tokens", tokens, job.dtype, (job.tokens, job.k))
    return [gather_tile(tokens[rows], tile, job, params.vector, params.representative) for tile, rows in job.spans()]


def dense_slices(tokens: Bits, job: Job, vector: int) -> list[list[Slice]]:
    """Raw tokens (M, K) cut into slices of `vector` elements, nothing dropped: slices[t][k]."""
    check_bits("tokens", tokens, job.dtype, (job.tokens, job.k))
    count = math.ceil(job.k / vector)
    whole = _padded(tokens, job.tokens, count * vector)
    return [[Slice(np.ascontiguousarray(whole[rows, k * vector:(k + 1) * vector]),
                   np.arange(tile.tokens, dtype=np.int32)) for k in range(count)] for tile, rows in job.spans()]


def next_slices(result: Result) -> list[list[Slice]]:
    """A layer's result as the next layer's input: output vector n is k-slice n."""
    return [[Slice(part.unique, part.index_map) for part in row] for row in result]


def tokens_of(slices: Slices, k: int) -> Bits:
    """(M, K): every token with the elements of the vectors that stand for it; `k` is K, without padding."""
    def whole(part: Slice) -> Bits:
        empty = np.zeros((len(part.index_map), part.vectors.shape[1]), part.vectors.dtype)
        return part.vectors[part.index_map] if part.p else empty

    return np.concatenate([np.concatenate([whole(part) for part in row], axis=1) for row in slices])[:, :k]


@dataclass(frozen=True)
class Expected:
    """Beats on every stream, passes and cycles of a job.

    job, tiles, vectors, maps, weights, positions, retained, preloads, scales : beats that go in (scales only for int8;
        positions, or retained offsets).  An empty slice is one beat of `vectors`; it has no map and takes no weights.
    sec_orders, scores, previous : beats that go into the semantic concentrator; offsets, sec_status : that come out.
    summary, out_maps, status : beats that come out; `outputs` depends on the data, see `output_counts`.
    passes : array passes, none for empty slices.  ideal_cycles : vectors through the array in all of them,
    sum(p) * ceil(K/R) * ceil(N/C) where p differs from slice to slice.
    """

    job: int
    tiles: int
    vectors: int
    maps: int
    weights: int
    positions: int
    retained: int
    preloads: int
    scales: int
    summary: int
    out_maps: int
    status: int
    passes: int
    ideal_cycles: int
    sec_orders: int = 0
    scores: int = 0
    previous: int = 0
    offsets: int = 0
    sec_status: int = 0


def expected_counts(params: Parameters, job: Job, slices: Slices, prunings: Sequence[SecOrder] = ()) -> Expected:
    """What a job of that configuration takes and gives, from the counts and each slice's p alone.

    prunings : orders of the semantic concentrator beside the job.
    """
    counts = job.counts(params)
    rows = [counts.rows_of(k) for k in range(counts.slices)]
    beats = sum(max(part.p, 1) for row in slices for part in row)
    maps = sum(math.ceil(tile.tokens / params.scatter_lanes) for tile, row in zip(job.tiles, slices, strict=True)
               for part in row if part.p)
    words = sum(math.ceil(tile.tokens / params.scatter_lanes) for tile in job.tiles)
    passes = counts.all_cols * sum(rows[k] for row in slices for k, part in enumerate(row) if part.p)
    streamed = sum(min(part.p, tile.tokens) * rows[k] for tile, row in zip(job.tiles, slices, strict=True)
                   for k, part in enumerate(row))
    return Expected(job=1, tiles=counts.tiles, vectors=beats * counts.vectors,
                    maps=0 if job.dense else maps * counts.vectors,
                    weights=passes * params.rows,
                    positions=0 if job.offsets else job.tokens * counts.vectors,
                    retained=job.offsets.taken if job.offsets else 0,
                    preloads=words * counts.all_cols if job.preload else 0,
                    scales=counts.tiles * counts.all_cols if job.dtype == "int8" else 0,
                    summary=counts.tiles * counts.vectors, out_maps=job.tokens * counts.vectors, status=1,
                    passes=passes, ideal_cycles=streamed * counts.all_cols, **_pruned_counts(params, prunings))


def _pruned_counts(params: Parameters, prunings: Sequence[SecOrder]) -> dict[str, int]:
    """Beats of the semantic concentrator's streams; offsets from the distances, not from symbols."""
    kept = [prune(each.rows, each.k, params.offset_bits, each.previous).tokens for each in prunings]
    gaps = np.concatenate([np.diff(tokens, prepend=-1) for tokens in kept]) if kept else np.zeros(0, np.int64)
    return {"sec_orders": len(prunings), "scores": sum(each.beats(params.sec_lanes) for each in prunings),
            "previous": sum(len(each.previous) for each in prunings if each.previous is not None),
            "offsets": int(((gaps - 1) // reach(params.offset_bits) + 1).sum()), "sec_status": len(prunings)}


def output_counts(result: Result) -> int:
    """Beats of `outputs`: p of every tile and output vector."""
    return sum(part.p for row in result for part in row)
