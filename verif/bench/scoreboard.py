# SPDX-License-Identifier: Apache-2.0
"""What came out of a core against the golden model, word by word; the first difference in the user's terms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from amaranth import Shape
from amaranth.lib.data import StructLayout

from focus_rtl.golden.numeric.dtypes import element, numbers
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.sec.layouts import offset_beat
from focus_rtl.hdl.sec.layouts import status as sec_status
from focus_rtl.verif.bench.program import OUTPUTS, Program, unpack

__all__ = ["Mismatch", "Received", "Scoreboard"]

STATUS: dict[str, Callable[[Parameters], StructLayout]] = {
    "status": layouts.status, "sec_status": lambda params: sec_status(params.sec_tokens_max, params.counter_bits)}
"""Streams of which some fields only are known beforehand."""


@dataclass(frozen=True)
class Received:
    """What one output stream gave: words and the cycles they came in."""

    words: list[int]
    cycles: list[int]


class Mismatch(AssertionError):
    """The hardware differs from the golden model; the message says where, how, and how to see it again."""


def _number(bits: int, dtype: str) -> str:
    """An element as bits and as the number it is."""
    stored = np.array(bits, dtype=element(dtype).storage)
    return f"{bits:#0{2 + 2 * stored.itemsize}x} ({float(numbers(stored, dtype)):g})"


class Scoreboard:
    """Compares the output streams of jobs that ran back to back.

    Parameters
    ----------
    programs : the jobs, in order.
    replay : the command that runs the same again, for messages.
    """

    def __init__(self, programs: Sequence[Program], replay: str) -> None:
        self.programs, self.replay = list(programs), replay
        self.compared = 0

    @property
    def expected(self) -> int:
        """Words that must be compared, from the golden counts."""
        return sum(program.words for program in self.programs)

    def check(self, received: dict[str, Received], complete: bool = True) -> int:
        """Compare everything; returns the number of words compared.

        Parameters
        ----------
        received : per output stream, all jobs together.
        complete : False compares only as far as the words go (after a run that broke off).

        Raises
        ------
        Mismatch : of all differences the one in the earliest cycle; or words are missing or left over.
        """
        differences = [difference for stream in OUTPUTS
                       if (difference := self._first_difference(stream, received[stream])) is not None]
        if differences:
            raise Mismatch(min(differences)[1])
        if not complete:
            return self.compared
        for stream in OUTPUTS:
            due = sum(program.count_of(stream) for program in self.programs)
            if len(received[stream].words) != due:
                raise Mismatch(f"{stream}: {len(received[stream].words)} words came, {due} were expected\n"
                               f"  replay: {self.replay}")
        if self.compared != self.expected or not self.compared:
            raise Mismatch(f"{self.compared} words were compared, {self.expected} were to be\n  replay: {self.replay}")
        return self.compared

    def _first_difference(self, stream: str, received: Received) -> tuple[int, str] | None:
        position = 0
        for number, program in enumerate(self.programs):
            due = program.count_of(stream)
            words = received.words[position:position + due]
            for index, word in enumerate(words):
                self.compared += 1
                text = self._difference(program, stream, index, word)
                if text is not None:
                    cycle = received.cycles[position + index]
                    where = f"job {number}: {stream}[{index}] in cycle {cycle}: {text}"
                    return cycle, f"{where}\n  replay: {self.replay}"
            position += due
        return None

    @staticmethod
    def _difference(program: Program, stream: str, index: int, word: int) -> str | None:
        """What is wrong with a word, or None."""
        if stream in STATUS:
            layout = STATUS[stream](program.params)
            fields = unpack(layout, word)
            wrong = [f"{name} is {fields[name]}, expected {value}"
                     for name, value in program.told(stream, index).items()
                     if (fields[name] - value) % (1 << Shape.cast(layout.members[name]).width)]
            named = sum(fields[name] for name in layouts.CYCLES) if stream == "status" else 0
            if stream == "status" and (named - fields["cycles"]) % (1 << program.params.counter_bits):
                wrong.append(f"cycles is {fields['cycles']}, and its counters name {named}")
            return "; ".join(wrong) or None
        expected = program.expected[stream]
        if index >= len(expected):
            return f"a word that the golden model does not have: {word:#x}"
        if word == expected[index]:
            return None
        return _explain(program, stream, index, word)


def _place(program: Program, stream: str, index: int) -> tuple[int, int, int]:
    """(tile, output vector, number within it) of a beat."""
    for t, row in enumerate(program.result):
        for n, part in enumerate(row):
            size = {"outputs": part.p, "out_maps": part.tokens, "summary": 1}[stream]
            if index < size:
                return t, n, index
            index -= size
    raise IndexError(f"{stream} has no beat {index}")


def _token(program: Program, tile: int, token: int) -> str:
    image, frame, row, column = program.job.tiles[tile].positions[token].tolist()
    return f"token {token} at (f, r, c) = ({frame}, {row}, {column})" if image else f"token {token} (text)"


def _explain(program: Program, stream: str, index: int, word: int) -> str:
    if stream == "offsets":
        want, got = (unpack(offset_beat(program.params.offset_bits), value)
                     for value in (program.expected[stream][index], word))
        return f"expected {want}, got {got}"
    t, n, inner = _place(program, stream, index)
    params, part, expected = program.params, program.result[t][n], program.expected[stream][index]
    if stream == "summary":
        want, got = (unpack(layouts.summary(params), value) for value in (expected, word))
        return f"tile {t}, output vector {n}: expected {want}, got {got}"
    if stream == "out_maps":
        want, got = (unpack(layouts.index_beat(params), value) for value in (expected, word))
        return f"tile {t}, output vector {n}, {_token(program, t, inner)}: expected {want}, got {got}"
    token = int(np.flatnonzero(part.index_map == inner)[0])
    return f"tile {t}, output vector {n}, {_token(program, t, token)}, unique {inner}: {_lanes(params, expected, word)}"


def _lanes(params: Parameters, expected: int, word: int) -> str:
    layout = layouts.vector_beat(params)
    want, got = unpack(layout, expected), unpack(layout, word)
    if want["last"] != got["last"]:
        return f"expected last = {want['last']}, got last = {got['last']}"
    bits, ones = params.element_bits, (1 << params.element_bits) - 1
    pairs = [(want["data"] >> lane * bits & ones, got["data"] >> lane * bits & ones)
             for lane in range(params.vector)]
    wrong = [lane for lane, (one, other) in enumerate(pairs) if one != other]
    lane = wrong[0]
    return (f"lane {lane}: expected {_number(pairs[lane][0], params.dtype)}, "
            f"got {_number(pairs[lane][1], params.dtype)} "
            f"({len(wrong)} of {params.vector} lanes differ)")
