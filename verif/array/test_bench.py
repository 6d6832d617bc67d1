# SPDX-License-Identifier: Apache-2.0
"""The benchmark of arrays: its checksum can fail, every psum of a run is in it, and growth is named rightly."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.gen.emit import verilog_of
from focus_rtl.hdl.array.systolic import Systolic
from focus_rtl.verif.array import bench, driver, full_rate
from focus_rtl.verif.array.emission import parameters, plain
from focus_rtl.verif.pages import shown
from focus_rtl.verif.records import ARRAY_SPEED, read

CYCLES = 3_000


class Wrong(driver.Operands):
    """One bit of one psum is not what the operands give."""

    @property
    def results(self) -> NDArray[np.uint32]:
        """As the model has them, but for that bit."""
        results = super().results.copy()
        results[17, 2] ^= 1
        return results


def test_the_checksum_is_that_of_the_model(seed: int, tmp_path: Path) -> None:
    p = parameters(4, "int8")
    operands = driver.Operands.drawn(p, seed)
    built = driver.build(verilog_of(Systolic(p)), p.cols, tmp_path)
    run = driver.simulate(built.executable, operands, CYCLES, tmp_path)
    assert run.left > driver.PASSES * p.m_tile
    with pytest.raises(ValueError, match="the golden model has"):
        driver.simulate(built.executable, Wrong(p, operands.vectors, operands.weights), CYCLES, tmp_path)


def test_plain_emission_has_a_module_for_every_instance() -> None:
    p = parameters(4, "int8")
    design = plain(Systolic(p))
    assert len(re.findall(r"^module .*pe\d\s", design.text, re.MULTILINE)) == p.rows * p.cols
    assert design.ports == verilog_of(Systolic(p)).ports


def test_cocotb_takes_the_same_operands(seed: int) -> None:
    p = parameters(4, "int8")
    found = full_rate.measured(driver.Operands.drawn(p, seed), 5, seed)
    assert found["compared"] == 5 * p.m_tile and found["cycles"] < 5 * p.m_tile + 100


def test_checksum_depends_on_order() -> None:
    p = parameters(4, "fp16")
    operands = driver.Operands.drawn(p, 1)
    swapped = driver.Operands(p, operands.vectors[:, ::-1], operands.weights)
    assert operands.checksum(2 * p.m_tile) != swapped.checksum(2 * p.m_tile)
    words = np.resize(operands.results.astype(object), (1100, 4)).reshape(-1)
    assert operands.checksum(1100) == sum(np.cumsum(words)) % 2**64


@pytest.mark.parametrize(("power", "name"), [(0.1, "constant"), (1.1, "linear"), (2.0, "quadratic"), (2.9, "cubic"),
                                             (1.5, "between linear and quadratic")])
def test_growth_is_named(power: float, name: str) -> None:
    sizes = bench.SIZES
    assert bench.exponent(sizes, [7.0 * size**power for size in sizes]) == pytest.approx(power)
    assert bench.law(power).startswith(name)


def test_the_page_shows_the_records() -> None:
    assert shown(bench.PAGE.read_text(encoding="utf-8"))["speed"] == bench.render()


def test_records_are_of_rows_that_exist(tmp_path: Path) -> None:
    assert set(read(ARRAY_SPEED)) <= set(bench.ROWS) and set(bench.PLAIN) <= set(bench.ROWS)
    bench.plot(tmp_path / "first.svg")
    bench.plot(tmp_path / "second.svg")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
