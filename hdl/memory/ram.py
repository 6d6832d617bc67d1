# SPDX-License-Identifier: Apache-2.0
"""Ram: the one memory component; everything that is stored in bulk goes through it."""

from amaranth import ClockSignal, Instance, Module
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.unit import Emission, Unit, current_emission

__all__ = ["RW_CHECK", "Ram"]

RW_CHECK = "FOCUS_RTL_RW_CHECK"
"""Verilog macro: where it is defined, a simulation ends when an address is read in the cycle in which it is written."""


class Ram(Unit):
    """One write port, one read port, both on the clock; address and data in, data out one cycle later.

    The read data holds until the next enabled read.  Reading an address in the cycle in which it is written is
    forbidden (what comes out is not defined in a macro, and `no_rw_check` tells Yosys to spend no logic on it): whoever
    uses a Ram shows that it never does.  Every simulation of the bench ends with an error where it happens.

    Latency 1 cycle, throughput one read and one write per cycle.

    Parameters
    ----------
    width : bits of a word.
    depth : words; at least 1.
    memories : `inferred`, or `macros`: emission leaves an instance of the black box `sram_1r1w_<depth>x<width>`
        (ports clk, w_en, w_addr, w_data, r_en, r_addr, r_data) and lists it.

    Members
    -------
    w_en, w_addr, w_data : In(1), In(bits of depth - 1), In(width).
    r_en, r_addr : In(1), In(bits of depth - 1).
    r_data : Out(width).
    """

    def __init__(self, width: int, depth: int, memories: str = "inferred") -> None:
        if width < 1 or depth < 1:
            raise ValueError(f"a Ram of {depth} words of {width} bits: both must be at least 1")
        self.width, self.depth, self.memories = width, depth, memories
        bits = max((depth - 1).bit_length(), 1)
        super().__init__({
            "w_en": In(1), "w_addr": In(bits), "w_data": In(width),
            "r_en": In(1), "r_addr": In(bits), "r_data": Out(width),
        }, width=width, depth=depth, memories=memories)

    latency = 1

    def verilog(self, name: str) -> str | None:
        """The idiom that every synthesis tool knows; through Amaranth a large memory takes seconds, for its zeros."""
        if self.memories == "macros":
            return None
        bits = f"[{len(self.w_addr) - 1}:0]"
        return f"""\
module {name}(clk, w_en, w_addr, w_data, r_en, r_addr, r_data);
  input clk;
  input w_en;
  input {bits} w_addr;
  input [{self.width - 1}:0] w_data;
  input r_en;
  input {bits} r_addr;
  output reg [{self.width - 1}:0] r_data;
  (* no_rw_check *)
  reg [{self.width - 1}:0] words [{max(self.depth, 2) - 1}:0];
  always @(posedge clk) begin
    if (w_en) words[w_addr] <= w_data;
    if (r_en) r_data <= words[r_addr];
  end
`ifdef {RW_CHECK}
  reg clocked = 1'b0;  // before the first edge, which is a reset's, the registers around may hold anything
  always @(posedge clk) begin
    clocked <= 1'b1;
    if (clocked && w_en && r_en && w_addr == r_addr)
      $fatal(1, "%m: address %0d is read while it is written", r_addr);
  end
`endif
endmodule
"""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        emission = current_emission()
        if self.memories == "macros" and emission is not None:
            self._macro(m, emission)
        else:
            self._inferred(m)
        return m

    def _macro(self, m: Module, emission: Emission) -> None:
        name = f"sram_1r1w_{self.depth}x{self.width}"
        emission.macros[name] = {"words": self.depth, "bits": self.width}
        m.submodules.macro = Instance(
            name, i_clk=ClockSignal(), i_w_en=self.w_en, i_w_addr=self.w_addr, i_w_data=self.w_data,
            i_r_en=self.r_en, i_r_addr=self.r_addr, o_r_data=self.r_data)

    def _inferred(self, m: Module) -> None:
        # At least two words: a one-word memory has no address, which no synthesis tool expects.
        m.submodules.words = words = Memory(shape=self.width, depth=max(self.depth, 2), init=[])
        write, read = words.write_port(), words.read_port()
        m.d.comb += [
            write.en.eq(self.w_en), write.addr.eq(self.w_addr), write.data.eq(self.w_data),
            read.en.eq(self.r_en), read.addr.eq(self.r_addr), self.r_data.eq(read.data),
        ]
