# SPDX-License-Identifier: Apache-2.0
"""A request to end is an interruption like Ctrl-C, and the first one counts: no tool or simulation outlives us."""

import signal

__all__ = ["take_as_interrupts"]

REQUESTS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Windows has no SIGHUP."""


def take_as_interrupts() -> None:
    """Make each of `REQUESTS` raise KeyboardInterrupt, once, unless whoever started us ignores it.

    What comes after the first is ignored: what ends the programs that we have started is not to be broken off.
    """
    taken = [number for number in REQUESTS if signal.getsignal(number) != signal.SIG_IGN]

    def interrupt(_number: int, _frame: object) -> None:
        for number in taken:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in taken:
        signal.signal(number, interrupt)
