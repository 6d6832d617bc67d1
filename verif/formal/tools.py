# SPDX-License-Identifier: Apache-2.0
"""Finds the solver; Yosys, which writes the proofs' side of the hardware, is found by `gen/fpga.py`."""

import importlib.util

from focus_rtl.verif.bench.toolchain import ToolMissing

__all__ = ["require_z3"]


def require_z3() -> None:
    """Raise ToolMissing unless the solver is installed."""
    if importlib.util.find_spec("z3") is None:
        raise ToolMissing("z3", "the PyPI package `z3-solver` is not installed", "Install it: `pip install z3-solver`")
