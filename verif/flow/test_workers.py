# SPDX-License-Identifier: Apache-2.0
"""Processes of boards and netlists: what they print arrives, what they say last is told, and none outlives us."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from focus_rtl.gen.errors import Exit
from focus_rtl.verif.flow.pretend import running, stub
from focus_rtl.verif.flow.workers import ChildFailed, Children, workers
from focus_rtl.verif.gen.support import environment


def test_what_a_process_prints_is_returned_and_what_it_says_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with workers(2) as (pool, children):
        found = list(pool.map(lambda module: children.run(module, "--help"), ("json.tool", "timeit")))
    assert "usage: " in found[0] and found[1].startswith("Tool for measuring")
    with pytest.raises(ChildFailed, match="No module named focus_rtl_of_nobody") as caught:
        Children().run("focus_rtl_of_nobody")
    assert caught.value.code == 1
    assert "No module named focus_rtl_of_nobody" in capsys.readouterr().err


def test_after_the_end_nothing_begins() -> None:
    children = Children()
    children.end()
    with pytest.raises(ChildFailed, match="interrupted"):
        children.run("json.tool", "--help")


@pytest.mark.parametrize("module", ["boards", "gates"])
@pytest.mark.parametrize(("number", "send"), [(signal.SIGTERM, os.kill), (signal.SIGINT, os.killpg)],
                         ids=["request", "ctrl-c"])
def test_what_was_started_ends_with_us(module: str, number: signal.Signals, send: Callable[[int, int], None],
                                       tmp_path: Path) -> None:
    """Yosys hangs in a process of its own, two levels down; the command is told to end, or its whole group is."""
    stub(tmp_path, "yosys", "Yosys 0.99 (git)", f"echo $$ >> '{tmp_path}/started'; exec sleep 300")
    given = ["ecp5-25k", "ice40-up5k", "--jobs", "2"]
    with subprocess.Popen([sys.executable, "-m", f"focus_rtl.verif.flow.{module}", *given], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                          env=environment({"PATH": f"{tmp_path}:{os.environ['PATH']}"})) as process:
        started: list[int] = []
        while len(started) < 2:
            assert process.poll() is None, process.communicate()
            path = tmp_path / "started"
            started = [int(line) for line in path.read_text().split()] if path.exists() else []
            time.sleep(0.02)
        time.sleep(0.2)  # whoever started them knows it by then
        send(process.pid, number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED and said.endswith("interrupted\n") and "Traceback" not in said
    assert [each for each in started if running(each)] == []
