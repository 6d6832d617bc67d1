# SPDX-License-Identifier: Apache-2.0
"""Drives every stream of a device from one loop: words in, words out, stalls on both sides, the rules watched.

    bench = Bench(dut, seed())
    bench.source("i", words, Stall(0.3))
    taken = bench.sink("o", expected=len(words), stall=Stall(0.5, burst=8))
    await bench.reset()
    cycles = await bench.run()
    assert taken.words == words

A word is the payload as an integer, first field low; a payload that ends in a field `last` has it as the highest bit,
as in the block's own layout.  A stream without `ready` (space reserved before) is taken in every cycle it is valid.

A cycle: the inputs are driven while the clock is low, everything settles, all is sampled, the clock rises.  What was
sampled with valid and ready is what the rising edge transfers.  Signals are accessed below cocotb's value objects,
which cost several microseconds each.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cocotb.triggers import Timer

__all__ = ["ALWAYS", "NEVER", "Bench", "ProtocolError", "Sink", "Source", "Stall", "Starved"]

DEPOSIT = 0  # cocotb's action for an ordinary write
PROBE_EVERY = 13  # cycles between two probes of ready -> valid; a prime, so that it meets every phase of a loop


class ProtocolError(AssertionError):
    """The device broke a rule of valid/ready; the message names stream, cycle and rule."""


class Starved(AssertionError):
    """Nothing moved for too long; the message states what each stream was doing."""


@dataclass(frozen=True)
class Stall:
    """When a side of a stream pauses: with `probability`, for 1 to `burst` cycles; then it goes for a cycle at least.

    lazy : (sinks) ready only in the cycle after valid was seen: a device whose valid waits for ready never moves.
    """

    probability: float = 0.0
    burst: int = 1
    lazy: bool = False


ALWAYS = Stall()
NEVER = Stall(1.0, burst=1 << 62)


class _Port:
    """A port of the top, read and written as an integer; widths above 32 bits go through binary text."""

    __slots__ = ("_bits", "_raw", "read", "width", "write")

    def __init__(self, handle: Any) -> None:
        self._raw = handle._handle
        self.width = len(handle) if hasattr(handle, "__len__") else 1
        self._bits = f"0{self.width}b"
        self.read: Callable[[], int] = self._read_short if self.width <= 31 else self._read_long
        self.write: Callable[[int], None] = self._write_short if self.width <= 31 else self._write_long

    def _read_short(self) -> int:
        value: int = self._raw.get_signal_val_long()
        return value

    def _read_long(self) -> int:
        return int(self._raw.get_signal_val_binstr(), 2)

    def _write_short(self, value: int) -> None:
        self._raw.set_signal_val_int(DEPOSIT, value)

    def _write_long(self, value: int) -> None:
        self._raw.set_signal_val_binstr(DEPOSIT, format(value, self._bits))


class _Stream:
    """What source and sink share: the ports of a stream and its stalls."""

    def __init__(self, bench: "Bench", name: str, stall: Stall) -> None:
        def find(part: str) -> _Port | None:
            return bench.port(f"{name}_{part}") if hasattr(bench.dut, f"{name}_{part}") else None
        valid = find("valid")
        if valid is None:
            raise ValueError(f"the device has no stream {name}: no port {name}_valid")
        self.bench, self.name = bench, name
        self._stall, self._pause = stall, 0
        self.valid_port, self.ready_port = valid, find("ready")
        self.payload_port, self.last_port = find("payload"), find("last")
        self.payload_width = self.payload_port.width if self.payload_port else 0
        self.stalled_cycles = 0
        self._random = random.Random(f"{bench.seed}/{name}")

    def _pausing(self) -> bool:
        """One decision per cycle: whether this side pauses now."""
        if self._pause:
            self._pause -= 1  # at 0 it goes, without a new decision
        elif self._stall.probability and self._random.random() < self._stall.probability:
            self._pause = self._random.randint(1, self._stall.burst)
        self.stalled_cycles += self._pause > 0
        return self._pause > 0

    @property
    def stall(self) -> Stall:
        """When this side pauses; a new one ends the pause in progress."""
        return self._stall

    @stall.setter
    def stall(self, stall: Stall) -> None:
        self._stall, self._pause = stall, 0


class Source(_Stream):
    """Sends words into the device.  `sent` counts those taken; `cycles[i]` is the cycle of the i-th transfer."""

    def __init__(self, bench: "Bench", name: str, words: Iterable[int], stall: Stall) -> None:
        super().__init__(bench, name, stall)
        self.words: list[int] = list(words)
        self.cycles: list[int] = []
        self.sent = 0
        self.valid = False
        self._sent_at_drive = 0
        self.valid_port.write(0)

    def feed(self, words: Iterable[int]) -> None:
        """Append words; may be called while the bench runs."""
        self.words.extend(words)

    @property
    def done(self) -> bool:
        """Whether every word has been taken."""
        return self.sent == len(self.words)

    def drive(self) -> None:
        """Offer the next word, hold the one on offer, or pause."""
        if self.valid and self.sent == self._sent_at_drive:
            return  # on offer and not taken: it stands
        offer = self.sent < len(self.words) and not self._pausing()
        if offer:
            word = self.words[self.sent]
            if self.payload_port:
                self.payload_port.write(word & ((1 << self.payload_width) - 1))
            if self.last_port:
                self.last_port.write(word >> self.payload_width)
            self._sent_at_drive = self.sent
        if offer != self.valid:
            self.valid_port.write(int(offer))
            self.valid = offer

    def sample(self, cycle: int) -> bool:
        """Whether the coming edge transfers a word."""
        if self.valid and (self.ready_port is None or self.ready_port.read()):
            self.sent += 1
            self.cycles.append(cycle)
            return True
        return False

    def withdraw(self) -> None:
        """Lower valid, for a reset; a word that was on offer is offered again afterwards."""
        self.valid_port.write(0)
        self.valid = False

    def state(self) -> str:
        ready = self.ready_port.read() if self.ready_port else "-"
        return f"{self.name} (in): {self.sent} of {len(self.words)} words taken, valid {int(self.valid)}, ready {ready}"


class Sink(_Stream):
    """Takes words from the device.  `words[i]` came in cycle `cycles[i]`.

    expected : how many words are to come: the bench runs until then, and one more is an error.  None: any number.
    """

    def __init__(self, bench: "Bench", name: str, expected: int | None, stall: Stall) -> None:
        super().__init__(bench, name, stall)
        self.expected = expected
        self.words: list[int] = []
        self.cycles: list[int] = []
        self.ready = False
        self._seen = False
        self._standing: int | None = None
        self.be_ready(False)

    @property
    def done(self) -> bool:
        """Whether every expected word has come."""
        return self.expected is None or len(self.words) >= self.expected

    def drive(self) -> None:
        """Be ready, or pause."""
        ready = not self._pausing() and (self._seen or not self._stall.lazy)
        if ready != self.ready:
            self.be_ready(ready)
        self.ready = ready

    def sample(self, cycle: int) -> bool:
        """Whether the coming edge transfers a word; checks that an offered word stands until it is taken."""
        self._seen = bool(self.valid_port.read())
        if not self._seen:
            if self._standing is not None:
                raise ProtocolError(f"{self.name}: cycle {cycle}: valid fell before the word was taken")
            return False
        word = self._word()
        if self._standing is not None and word != self._standing:
            raise ProtocolError(f"{self.name}: cycle {cycle}: the payload changed from {self._standing:#x} to "
                                f"{word:#x} before it was taken")
        if not self.ready and self.ready_port:
            self._standing = word
            return False
        self._standing = None
        self._seen = False  # a lazy sink has to see the next word first
        self._take(word, cycle)
        return True

    def _word(self) -> int:
        word = self.payload_port.read() if self.payload_port else 0
        return word | self.last_port.read() << self.payload_width if self.last_port else word

    def _take(self, word: int, cycle: int) -> None:
        self.words.append(word)
        self.cycles.append(cycle)
        if self.expected is not None and len(self.words) > self.expected:
            raise ProtocolError(f"{self.name}: cycle {cycle}: word {len(self.words)} came, {self.expected} were "
                                f"expected: {word:#x}")

    def withdraw(self) -> None:
        """Lower ready and forget what was on offer, for a reset."""
        self.be_ready(False)
        self.ready, self._seen, self._standing = False, False, None

    def be_ready(self, ready: bool) -> None:
        """Drive `ready`, without any change to what this sink intends."""
        if self.ready_port:
            self.ready_port.write(int(ready))

    def offered(self) -> tuple[int, int]:
        """Valid and word as they are now."""
        valid = self.valid_port.read()
        return valid, self._word() if valid else 0

    def state(self) -> str:
        expected = "any" if self.expected is None else self.expected
        return (f"{self.name} (out): {len(self.words)} of {expected} words came, valid {self.valid_port.read()}, "
                f"ready {int(self.ready)}")


class Bench:
    """All streams of one device, and its clock.

    Parameters
    ----------
    dut : cocotb's handle of the top.
    seed : of all stalls.
    patience : cycles without any transfer after which the run fails.

    Members
    -------
    cycle : rising edges so far.  sources, sinks : by name.
    hooks : called with the cycle number when all is sampled, to `read` what other ports hold before the edge.
    """

    def __init__(self, dut: Any, seed: int, patience: int = 2000) -> None:
        self.dut, self.seed, self.patience = dut, seed, patience
        self.cycle = 0
        self.sources: dict[str, Source] = {}
        self.sinks: dict[str, Sink] = {}
        self.hooks: list[Callable[[int], None]] = []
        self._ports: dict[str, _Port] = {}
        self._clock = self.port("clk") if hasattr(dut, "clk") else None
        self._half = Timer(5, "ns")
        if self._clock:
            self.write("rst", 0)

    def port(self, name: str) -> _Port:
        """A port by its name in the Verilog, with `read()`, `write(value)` and `width`."""
        if name not in self._ports:
            self._ports[name] = _Port(getattr(self.dut, name))
        return self._ports[name]

    def read(self, name: str) -> int:
        """The value of a port."""
        return self.port(name).read()

    def write(self, name: str, value: int) -> None:
        """Drive an input that belongs to no stream."""
        self.port(name).write(value)

    def source(self, name: str, words: Iterable[int] = (), stall: Stall = ALWAYS) -> Source:
        """Make (or replace) the source of an input stream."""
        self.sources[name] = Source(self, name, words, stall)
        return self.sources[name]

    def sink(self, name: str, expected: int | None = None, stall: Stall = ALWAYS) -> Sink:
        """Make (or replace) the sink of an output stream."""
        self.sinks[name] = Sink(self, name, expected, stall)
        return self.sinks[name]

    def _streams(self) -> tuple[Source | Sink, ...]:
        return *self.sources.values(), *self.sinks.values()

    async def edge(self, cycles: int = 1) -> None:
        """Let rising edges pass without touching any stream."""
        for _ in range(cycles):
            if self._clock:
                self._clock.write(0)
            await self._half
            if self._clock:
                self._clock.write(1)
            await self._half
            self.cycle += 1

    async def reset(self, cycles: int = 2) -> None:
        """Reset the device; sources and sinks pause meanwhile and go on afterwards."""
        for stream in self._streams():
            stream.withdraw()
        self.write("rst", 1)
        await self.edge(cycles)
        self.write("rst", 0)

    async def run(self, limit: int | None = None, until: Callable[[], bool] | None = None, tail: int = 20) -> int:
        """Run until every source is empty and every expected word has come; returns the cycles that took.

        Parameters
        ----------
        limit : stop after this many cycles, whatever is left.
        until : stop as soon as this holds (asked once a cycle).
        tail : cycles to go on afterwards, with the sinks ready: a surplus word shows there.  Not counted.

        Raises
        ------
        ProtocolError, Starved.
        """
        start = self.cycle
        await self._loop(limit, until or self._finished)
        taken = self.cycle - start
        if until is None and limit is None:
            await self._drain(tail)
        return taken

    def _finished(self) -> bool:
        return all(source.done for source in self.sources.values()) and all(sink.done for sink in self.sinks.values())

    async def _loop(self, limit: int | None, until: Callable[[], bool]) -> None:
        streams = self._streams()
        clock, half, quiet = self._clock, self._half, 0
        stop = self.cycle + limit if limit is not None else -1
        while not until() and self.cycle != stop:
            if clock:
                clock.write(0)
            for stream in streams:
                stream.drive()
            await half
            if self.cycle % PROBE_EVERY == 0:
                await self._probe()
            moved = False
            for stream in streams:
                moved |= stream.sample(self.cycle)
            for hook in self.hooks:
                hook(self.cycle)
            if clock:
                clock.write(1)
            await half
            self.cycle += 1
            quiet = 0 if moved else quiet + 1
            if quiet > self.patience:
                raise Starved(self._starved())

    async def _probe(self) -> None:
        """Turn every ready over within a cycle: no valid and no offered payload may follow it."""
        sinks = list(self.sinks.values())
        before = [sink.offered() for sink in sinks]
        for sink in sinks:
            sink.be_ready(not sink.ready)
        await self._half
        after = [sink.offered() for sink in sinks]
        for sink in sinks:
            sink.be_ready(sink.ready)
        await self._half
        for sink, old, new in zip(sinks, before, after, strict=True):
            if old != new:
                raise ProtocolError(f"{sink.name}: cycle {self.cycle}: valid or payload depends on ready of the same "
                                    "cycle")

    async def _drain(self, cycles: int) -> None:
        stalls = {sink: sink.stall for sink in self.sinks.values()}
        for sink in stalls:
            sink.stall = ALWAYS
        await self._loop(cycles, lambda: False)
        for sink, stall in stalls.items():
            sink.stall = stall

    def _starved(self) -> str:
        lines = [f"nothing moved for {self.patience} cycles (cycle {self.cycle}, seed {self.seed}):"]
        return "\n".join(lines + [f"  {stream.state()}" for stream in self._streams()])
