# SPDX-License-Identifier: Apache-2.0
"""Accumulate: two accumulators -> their sum, in the arithmetic of the dtype.  Model: `golden.numeric.elements`."""

from types import SimpleNamespace

from amaranth import Module, Value

from focus_rtl.hdl.numeric.add import Add
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage

__all__ = ["Accumulate"]


class Accumulate(NumericUnit):
    """binary32 + binary32 -> binary32 for `fp16` and `bf16` (see `Add`); int32 + int32 -> int32 for `int8`, wrapping.

    Latency `depth` cycles, throughput one sum per cycle.

    Parameters
    ----------
    dtype : fp16, bf16 or int8.
    depth : registers, 0 (combinational) .. 4.

    Members
    -------
    a, b : In(32).  o : Out(32).
    """

    def __init__(self, depth: int = 0, dtype: str = "fp16") -> None:
        self.check_dtype("Accumulate", dtype, ("fp16", "bf16", "int8"))
        self.dtype, self.in_functions = dtype, dtype != "int8"
        super().__init__({"a": 32, "b": 32}, 32, depth, dtype="int32" if dtype == "int8" else "binary32")

    def stages(self) -> list[Stage]:
        return [Stage(6, self._wrapping)] if self.dtype == "int8" else Add(self.depth).stages()

    def _wrapping(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": (s.a + s.b)[:32]}
