"""The entry point of the `evoxtral` program: makes the process fit to run a command, and runs it.

Imports next to nothing by itself: whoever presses Ctrl-C while the commands are being imported gets no traceback.
"""

import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line, by default the process's own; always leaves through SystemExit."""
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        if raises:  # and is not ignored, as in a job that a shell started in the background
            # While there is nothing to tidy up, Ctrl-C ends the process as it ends any other program.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        _hold_standard_descriptors()
        from evoxtral.cli.commands import run

        if raises:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = run(arguments)
    except KeyboardInterrupt:
        status = 130
    if raises and arguments is None:  # the process ends here, and so does patience with its last threads
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(status)


def _hold_standard_descriptors() -> None:
    """Put the null device where the caller closed a standard stream (`2>&-`).

    Otherwise the first file that is opened gets the stream's number, and what a library prints is written into it.
    Python's `sys.stdin` and `sys.stdout` stay None there, by which commands know; messages go nowhere.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # pathlib takes long to import


if __name__ == "__main__":
    main()
