"""Progress on standard error: bars on a terminal, a line a step elsewhere. Standard output stays for results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False, soft_wrap=True)

Report = Callable[[str, int, int], None]


def say(text: str) -> None:
    """Print one plain line to standard error."""
    console.print(text, markup=False)


@contextmanager
def steps() -> Iterator[Report]:
    """Yield `report(what, done, total)`: one bar for each different `what`, on a terminal.

    Without a terminal each `what` is one line when it begins: logs stay readable.
    """
    if not console.is_terminal:
        yield _one_line_each()
        return
    columns = (TextColumn("{task.description:<34}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=False) as bars:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total or None)
            bars.update(tasks[what], completed=done, total=total or None)

        yield report


def _one_line_each() -> Report:
    seen: set[str] = set()

    def report(what: str, _done: int, _total: int) -> None:
        if what not in seen:
            seen.add(what)
            say(f"{what} …")

    return report


def counting(report: Report, what: str) -> Callable[[int, int], None]:
    """Turn `report` into `progress(done, total)` for one step."""

    def progress(done: int, total: int) -> None:
        report(what, done, total)

    return progress
