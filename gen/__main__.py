# SPDX-License-Identifier: Apache-2.0
"""Entry point of `focus-rtl` and of `python -m focus_rtl.gen`: no traceback gets past it."""

import sys
import traceback
import warnings
from collections.abc import Sequence

from focus_rtl.gen.interrupts import take_as_interrupts

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with one of the documented exit codes."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    take_as_interrupts()
    # Amaranth's word for what an interrupted emission leaves behind.
    warnings.filterwarnings("ignore", message=".* created but never used")
    try:
        from focus_rtl.gen.cli import run  # here, so that Ctrl-C while packages load is caught, too
        code = run([item for item in given if item != "--debug"])
    except KeyboardInterrupt:
        code = 130
    except ImportError as error:
        if debug:
            traceback.print_exc()
        print(f"error: the installation is not complete: {error}\n  cure: pip install --force-reinstall focus-rtl",
              file=sys.stderr)
        code = 3
    except Exception as error:
        from focus_rtl.gen.failures import report
        code = report(error, debug)
    if code == 130:
        print("interrupted", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
