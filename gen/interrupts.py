# SPDX-License-Identifier: Apache-2.0
"""A request to end is an interruption like Ctrl-C: no compiler, simulation or placement outlives us."""

import signal

__all__ = ["take_as_interrupts"]


def take_as_interrupts() -> None:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt, unless whoever started us ignores them."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):  # Windows has no SIGHUP
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
