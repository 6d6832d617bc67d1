# SPDX-License-Identifier: Apache-2.0
"""Hardware and questions in SMT-LIB: what a claim is made of, and the solver that is asked."""

import hashlib
import importlib
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.fpga import run_tool, yosys
from focus_rtl.hdl.numeric.bits import Layout
from focus_rtl.hdl.unit import Unit, emitting
from focus_rtl.verif.records import anonymous

__all__ = ["PRODUCT", "TIMEOUT", "Claim", "Parts", "ask", "conjunction", "number", "port", "smt_of", "widened", "wire"]

TIMEOUT = 600
"""Seconds for one question to Z3."""

SCRIPT = ("read_rtlil unit.il; read_verilog memories.v; hierarchy -top {top}; proc; flatten; memory_collect; "
          "memory_map; opt_clean; dffunmap; opt_clean; write_smt2 -stbv -wires unit.smt2")
"""Memories become registers that nothing has written yet; wires keep the names that Amaranth gives them."""

PRODUCT = "product"
"""What multiplication is called where a claim holds whatever it answers."""


@dataclass(frozen=True)
class Claim:
    """What is proved of a unit, for all values of the variables, and what shows that the proof says something.

    words : what is claimed.  holds : the claim.  cover : a case that must be possible.  variables : declarations and
    assumptions.  unit, mutant : how to make the unit and the faulty one, of which the claim must fail; None: the
    claim is about numbers alone.  doubt : assumptions that take the place of `variables` for such a claim's twin.
    abstract : 0, or the width of the multipliers that are replaced by a function of which only the variables say
    anything; what holds of all such functions holds of multiplication.
    """

    words: str
    holds: str
    cover: str
    variables: str = "(declare-fun s () |unit_s|)\n"
    unit: Callable[[], Unit] | None = None
    mutant: Callable[[], Unit] | None = None
    doubt: str = ""
    abstract: int = field(default=0, kw_only=True)

    @property
    def premises(self) -> str:
        """The unit, the variables and the assumptions."""
        return self._hardware() + self.variables

    @property
    def twin(self) -> "Claim":
        """The same claim of a faulty unit, or under weaker assumptions."""
        return replace(self, unit=self.mutant) if self.mutant else replace(self, variables=self.doubt)

    def design(self) -> str:
        """SHA-256 of the unit's Verilog and of the claim's text."""
        verilog = anonymous(verilog_of(self.unit()).text) if self.unit else ""
        parts = [verilog, self.variables, self.holds, str(self.abstract)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _hardware(self) -> str:
        text = smt_of(self.unit, "unit") if self.unit else ""
        if not self.abstract:
            return text
        bits = f"(_ BitVec {self.abstract})"
        if f"{bits} (bvmul " not in text:
            raise ValueError("the unit has no such multiplier to be abstract about")
        return (f"(declare-fun {PRODUCT} ({bits} {bits}) {bits})\n"
                + text.replace(f"{bits} (bvmul ", f"{bits} ({PRODUCT} "))


def smt_of(make: Callable[[], Unit], name: str) -> str:
    """A unit as SMT-LIB: a sort `|name_s|` of its inputs and registers, a function `|name_n wire|` for each port or
    named wire, and `|name_t|` between a state and the next one.
    """
    with emitting() as emission:
        top = emission.convert(make(), name)
    text = "\n".join(emission.modules.values())
    with tempfile.TemporaryDirectory(prefix="focus-rtl-formal-") as kept:
        folder = Path(kept)
        (folder / "unit.il").write_text(text)
        (folder / "memories.v").write_text("\n".join(emission.verilog.values()))
        run_tool(yosys(), folder, "-q", "-p", SCRIPT.format(top=top))
        return (folder / "unit.smt2").read_text()


def ask(text: str) -> str:
    """sat, unsat or unknown."""
    solver = importlib.import_module("z3").Solver()
    solver.set("timeout", TIMEOUT * 1000)
    solver.from_string(text)
    return str(solver.check())


def port(name: str, state: str = "s") -> str:
    """Value of a port of the unit."""
    return f"(|unit_n {name}| {state})"


def wire(name: str, state: str, bits: int) -> str:
    """A wire of some bits, as a vector; of one bit, `port` is a Bool."""
    return f"(ite {port(name, state)} #b1 #b0)" if bits == 1 else port(name, state)


def number(value: int, bits: int) -> str:
    """A vector of that value."""
    return f"(_ bv{value} {bits})"


def conjunction(terms: Iterable[str]) -> str:
    """All of them hold."""
    return f"(and {' '.join(terms)} true)"


def widened(bits: str, more: int, signed: bool = False) -> str:
    """A vector with `more` bits on top."""
    return f"((_ {'sign' if signed else 'zero'}_extend {more}) {bits})"


@dataclass(frozen=True)
class Parts:
    """A floating-point number taken apart by the standard's words; each is an expression of SMT-LIB.

    significand : fraction below the hidden bit.  exponent : the field, but 1 where it is 0; the value of a finite
    number is (-1)**sign * significand * 2**(exponent - bias - fractions).
    """

    negative: str
    significand: str
    exponent: str
    zero: str
    infinite: str
    nan: str

    @classmethod
    def of(cls, layout: Layout, bits: str) -> "Parts":
        """Those of the number in `bits`."""
        top = layout.bits - 1
        magnitude = f"((_ extract {top - 1} 0) {bits})"
        number = f"((_ extract {top - 1} {layout.fractions}) {bits})"
        fraction = f"((_ extract {layout.fractions - 1} 0) {bits})"
        small = f"(= {number} (_ bv0 {layout.exponents}))"
        infinity = f"(_ bv{layout.infinity} {top})"
        return cls(f"(= ((_ extract {top} {top}) {bits}) #b1)", f"(concat (ite {small} #b0 #b1) {fraction})",
                   f"(ite {small} (_ bv1 {layout.exponents}) {number})", f"(= {magnitude} (_ bv0 {top}))",
                   f"(= {magnitude} {infinity})", f"(bvugt {magnitude} {infinity})")
