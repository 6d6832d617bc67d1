# SPDX-License-Identifier: Apache-2.0
"""A design of any number of ports -> one of four pins, in which every unit has something to do.

Every input bit is a bit of a long register that shifts in what comes from a pin; every output bit is folded into a
register of a signature, which shifts out to a pin.  So nothing is constant, nothing is unread, no two inputs are equal,
and each path has a register at either end.  What the harness itself takes is known: one flip-flop for each input bit,
and for every three output bits one, with the look-up table of four inputs before it.
"""

from dataclasses import dataclass

from focus_rtl.gen.emit import EmittedDesign

__all__ = ["CLOCK", "INSTANCE", "Harness", "harness_of"]

CLOCK = "clk"
INSTANCE = "core"
"""What the design is called inside: the first word of every cell's name."""

FOLD = 3
"""Output bits for each bit of the signature: with the bit that shifts in, as many as a look-up table has inputs."""


@dataclass(frozen=True)
class Harness:
    """The Verilog of a harness, its module's name, and how many of its own flip-flops stand around the design.

    lone : those of them that have no look-up table before them.
    """

    text: str
    top: str
    registers: int
    lone: int


def harness_of(design: EmittedDesign) -> Harness:
    """The harness of a design, from its ports alone.

    Pins: `clk`, `rst`, `feed` (what is shifted in), `seen` (what is shifted out).

    Raises
    ------
    ValueError : the design has no input, or no output besides the clock: there is nothing to hold on to.
    """
    ports = [port for port in design.ports if port.name not in ("clk", "rst")]
    feeds = sum(port.width for port in ports if port.inward)
    folds = sum(port.width for port in ports if not port.inward)
    if not feeds or not folds:
        raise ValueError(f"{design.top} has {feeds} bits of inputs and {folds} of outputs: both are needed")
    top, bits = f"{design.top}_harness", -(-folds // FOLD)
    links = [".clk(clk)", ".rst(reset)"] if design.clocked else []
    at = {True: 0, False: 0}
    for port in ports:
        low = at[port.inward]
        at[port.inward] += port.width
        links.append(f".{port.name}({'source' if port.inward else 'found'}[{low + port.width - 1}:{low}])")
    # What one bit folds lies far apart, so that it is not the copies of one sign, which would cancel each other.
    parts = " ^ ".join(f"found[{(part + 1) * bits - 1}:{part * bits}]" for part in range(FOLD))
    rest = f"\n  assign found[{FOLD * bits - 1}:{folds}] = 0;" if folds < FOLD * bits else ""
    text = f"""\
module {top}(input clk, input rst, input feed, output seen);
  reg reset;
  reg [{feeds - 1}:0] source;
  reg [{bits - 1}:0] signature;
  wire [{FOLD * bits - 1}:0] found;{rest}
  assign seen = signature[{bits - 1}];
  always @(posedge clk) begin
    reset <= rst;
    source <= {{source, feed}};
    signature <= {{signature, feed}} ^ {parts};
  end
  {design.top} {INSTANCE} (
    {f',{chr(10)}    '.join(links)}
  );
endmodule
"""
    return Harness(text, top, feeds + bits + 1, feeds + 1)
