"""The one progress bar: on standard error, and only if that is a terminal. Knows counts and notes, no work."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class ShowProgress(Protocol):
    """What a step tells its progress to."""

    def __call__(self, done: float, total: float | None, note: str = "") -> None:
        """`done` of `total` (None if unknown), where a fraction moves the bar; `note` is shown behind it."""
        ...

    def hide(self) -> None:
        """Clear the bar, so that something else can be written there; the next call shows it again."""
        ...


@contextmanager
def progress_bar(description: str, *, with_rate: bool = False, transient: bool = False) -> Iterator[ShowProgress]:
    """Show a bar with counts and the time left while the block runs.

    Args:
        description: what is going on, one word such as "Writing".
        with_rate: also show how many are done in a second.
        transient: leave nothing of it on the terminal.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:.1f}/s")

    console = Console(stderr=True)
    columns: list[ProgressColumn] = [TextColumn(description, markup=False), BarColumn(), MofNCompleteColumn()]
    columns += [
        *([Rate()] if with_rate else []),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    ]
    progress = Progress(
        *columns, console=console, disable=not console.is_terminal, transient=transient, redirect_stdout=False
    )
    bar = progress.add_task("", total=None, note="")

    class Show:
        def __call__(self, done: float, total: float | None, note: str = "") -> None:
            progress.update(bar, completed=done, total=total, note=note)
            progress.start()

        def hide(self) -> None:
            if progress.live.is_started:
                progress.stop()

    with progress:
        yield Show()
