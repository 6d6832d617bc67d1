# SPDX-License-Identifier: Apache-2.0
"""Operands that hurt: special values, all pairs of them, random ones bent towards carries, ties and cancellation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SPECIAL16", "SPECIAL32", "Operands", "corners", "random_operands"]

_MAGNITUDES32 = [
    0x00000000, 0x00000001, 0x00000002, 0x00000003, 0x00400000, 0x007FFFFE, 0x007FFFFF,  # zero, subnormals
    0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000,  # least normals
    0x1F800000, 0x20000000, 0x33000000, 0x33800000, 0x33800001, 0x34000000, 0x5F800000,  # powers of two, an ulp up
    0x3F000000, 0x3F000001, 0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x40000000,  # around 1
    0x4B000000, 0x4B7FFFFF, 0x4B800000,  # around 2**24
    0x32FFFFFF, 0x33000001, 0x33C00000, 0x387FC000, 0x387FE000, 0x387FFFFF, 0x38800000,  # edges of binary16: underflow
    0x477FE000, 0x477FEFFF, 0x477FF000, 0x477FFFFF, 0x47800000,  # ... and overflow
    0x7F000000, 0x7F7FFFFE, 0x7F7FFFFF, 0x7F800000,  # largest, infinity
    0x7F800001, 0x7FC00000, 0x7FFFFFFF,  # NaN: signalling, canonical, every bit
]
_MAGNITUDES16 = [0x0000, 0x0001, 0x0002, 0x0003, 0x0200, 0x03FE, 0x03FF, 0x0400, 0x0401, 0x07FF, 0x3BFF, 0x3C00, 0x3C01,
                 0x4000, 0x7BFE, 0x7BFF, 0x7C00, 0x7C01, 0x7E00, 0x7FFF]

SPECIAL32: NDArray[np.uint32] = np.array([sign | m for sign in (0, 1 << 31) for m in _MAGNITUDES32], np.uint32)
SPECIAL16: NDArray[np.uint16] = np.array([sign | m for sign in (0, 1 << 15) for m in _MAGNITUDES16], np.uint16)


@dataclass(frozen=True)
class Operands:
    """Sets of operands, arrays of one length: a, b, c, d uint32 (binary32 bits), e, f uint16 (binary16 bits)."""

    a: NDArray[np.uint32]
    b: NDArray[np.uint32]
    c: NDArray[np.uint32]
    d: NDArray[np.uint32]
    e: NDArray[np.uint16]
    f: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.a)

    def __add__(self, other: "Operands") -> "Operands":
        return Operands(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in "abcdef"))

    def packed(self) -> list[int]:
        """Each set as one integer, a in the low bits."""
        columns = [getattr(self, name).tolist() for name in "abcdef"]
        return [a | b << 32 | c << 64 | d << 96 | e << 128 | f << 144
                for a, b, c, d, e, f in zip(*columns, strict=True)]


def corners(rng: np.random.Generator) -> Operands:
    """All ordered pairs of special values, in both formats; c and d are the same pair turned round, or any two."""
    a, b = (grid.ravel() for grid in np.meshgrid(SPECIAL32, SPECIAL32))
    e, f = (np.resize(grid.ravel(), len(a)) for grid in np.meshgrid(SPECIAL16, SPECIAL16))
    turned = rng.random(len(a)) < 0.3
    c, d = np.where(turned, b, rng.choice(SPECIAL32, len(a))), np.where(turned, a, rng.choice(SPECIAL32, len(a)))
    return Operands(a, b, c, d, e, f)


def random_operands(rng: np.random.Generator, count: int) -> Operands:
    """Random sets; half of the b are near a, most c * d are near a * b."""
    a = _numbers(rng, count)
    b = np.where(rng.random(count) < 0.5, _numbers(rng, count), _near(rng, a))
    c, d = _products(rng, a, b)
    bits = rng.integers(0, 1 << 16, (2, count)).astype(np.uint16)
    bits[rng.random((2, count)) < 0.2] &= np.uint16(0x83FF)  # subnormals are 3 % otherwise
    return Operands(a, b, c, d, bits[0], bits[1])


def _numbers(rng: np.random.Generator, count: int) -> NDArray[np.uint32]:
    """binary32: exponents anywhere, around 1, lowest, highest; fractions with long runs of zeros or ones."""
    exponent = np.choose(rng.integers(0, 4, count), [
        rng.integers(0, 256, count), rng.integers(110, 145, count), rng.integers(0, 4, count),
        rng.integers(250, 256, count)])
    fraction, run = rng.integers(0, 1 << 23, count), rng.integers(0, 24, count)
    fraction = np.choose(rng.integers(0, 6, count), [
        fraction, fraction >> run, fraction << run & 0x7FFFFF, 0x7FFFFF ^ fraction >> run, 0 * run,
        fraction & ~0xFFF])  # the last: one bit more than binary16 holds
    return np.asarray(rng.integers(0, 2, count) << 31 | exponent << 23 | fraction, np.uint32)


def _moved(a: NDArray[np.uint32], by: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Magnitudes moved by so many units in the last place, within the format; signs kept."""
    magnitude = np.clip((a & np.uint32(0x7FFFFFFF)).astype(np.int64) + by, 0, 0x7FFFFFFF)
    return np.asarray(magnitude | (a & np.uint32(1 << 31)), np.uint32)


def _near(rng: np.random.Generator, a: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Numbers like `a`: some ulp away, up to 31 binades away, the same exponent, or one bit flipped; any sign."""
    count = len(a)
    ulps, binades = rng.integers(-3, 4, count), rng.integers(-31, 32, count) << 23
    near = np.choose(rng.integers(0, 5, count), [
        a, _moved(a, ulps), _moved(a, binades + ulps), (a & np.uint32(0xFF800000)) | rng.integers(0, 1 << 23, count),
        a ^ (1 << rng.integers(0, 31, count))])
    return np.asarray(near ^ rng.integers(0, 2, count) << 31, np.uint32)


def _products(rng: np.random.Generator, a: NDArray[np.uint32],
              b: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Factors whose product is that of a and b, nearly so, or any; powers of two moved from one to the other."""
    count = len(a)
    binades, ulps = rng.integers(-20, 21, count) << 23, rng.integers(-1, 2, count)
    kind = rng.integers(0, 4, count)
    c = np.choose(kind, [b, _moved(a, binades), _near(rng, a), _numbers(rng, count)])
    d = np.choose(kind, [_moved(a, ulps), _moved(b, ulps - binades), _near(rng, b), _numbers(rng, count)])
    return c.astype(np.uint32), d.astype(np.uint32)
