"""Show the running round as a table that is updated in the terminal."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..project.console import console, number
from ..project.errors import one_line
from ..project.paths import by_number
from .rounds import Round

__all__ = ["LiveTable", "Progress", "live_table"]

# Lines besides those of sites: title, header, the number of hidden sites, and the cursor's line.
OTHER_LINES = 4
MAX_NAME_WIDTH, MAX_METRICS = 24, 4


@dataclass(frozen=True)
class Progress:
    """The progress of a round that is running or being validated.

    Attributes:
        number: The round's number, from 1.
        begun: The `time.monotonic()` when the controller first listed the round.
        timeout: The round's timeout, in seconds.
        asked: The sites that were online when the round began.
        online: The sites that are online now.
        updates: The sites whose update has arrived.
        result: The round's result, once the round has ended.
    """

    number: int
    begun: float
    timeout: float
    asked: set[str]
    online: set[str]
    updates: set[str]
    result: Round | None = None

    def state(self, site: str, seconds: float) -> tuple[str, str]:
        """Return the state of a site's update, `seconds` after the round began, and its style.

        A site without an update is late if half of the sites have sent one, or if the round has
        ended or exceeded its timeout. A site that joined during the round waits for the next one.
        """
        outcome = self.result.outcome if self.result else {}
        for name, cause in outcome.get("refused", {}).items():
            if one_line(str(name)) == site:
                return f"refused: {cause}", "red"
        if site in self.updates:
            return "received", "green"
        if site not in self.online:
            return "offline", "red"
        if site not in self.asked:
            return "waiting", "dim"
        half = 2 * len(self.updates & self.asked) >= len(self.asked)
        late = half or self.result or seconds > self.timeout
        return ("late", "yellow") if late else ("training", "")


class LiveTable:
    """The newest progress, and for each site the newest round with its metrics.

    Args:
        total: The number of planned rounds; None if unknown.
        before: The rounds of the run that is resumed.
    """

    def __init__(self, total: int | None, before: Sequence[Round] = ()) -> None:
        self._total = total
        self._progress: Progress | None = None
        self._newest = {site: result for result in before for site in result.sites}

    def update(self, progress: Progress) -> None:
        """Set the newest progress."""
        if progress.result:
            # The rendering thread may be iterating over the old dictionary.
            self._newest = self._newest | dict.fromkeys(progress.result.sites, progress.result)
        self._progress = progress

    def render(self, now: float, height: int) -> Group:
        """Return the table for the time `now` of `time.monotonic()`, in at most `height` lines.

        If there are more sites than lines, sites that are late, rejected or offline come first.
        """
        progress, newest = self._progress, self._newest
        if progress is None:
            return Group(_cell("waiting for the next round", "dim"))
        seconds = now - progress.begun
        sites = sorted(progress.asked | progress.online | progress.updates, key=by_number)
        states = {site: progress.state(site, seconds) for site in sites}
        if hidden := max(0, len(sites) - max(1, height - OTHER_LINES)):
            sites.sort(key=lambda site: states[site][1] not in ("red", "yellow"))
        names = _metric_names(newest.values())
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column("site", no_wrap=True, max_width=MAX_NAME_WIDTH)
        for head in ("update", "as of", *(name.replace("_", " ") for name in names)):
            table.add_column(_cell(head))
        for site in sites[: len(sites) - hidden]:
            metrics = _metric_cells(site, newest.get(site), names)
            table.add_row(_cell(site), _cell(*states[site]), *metrics)
        planned = f" of {self._total}" if progress.number <= (self._total or 0) else ""
        phase = "validation" if progress.result else "training"
        title = f"round {progress.number}{planned}, {phase}, {seconds:.0f} s"
        more = [_cell(f"and {hidden} more sites", "dim")] if hidden else []
        return Group(_cell(title, "bold"), table, *more)


@contextmanager
def live_table(
    total: Callable[[], int | None], before: Sequence[Round] = (), screen: Console = console
) -> Iterator[Callable[[Progress], None] | None]:
    """Show a `LiveTable` below the printed lines.

    Yields:
        The function that updates the table; None without a terminal, where nothing is shown and
        `total` is not called.
    """
    if not screen.is_interactive:
        yield None
        return
    table = LiveTable(total(), before)

    def render() -> Group:
        return table.render(time.monotonic(), screen.height)

    with Live(get_renderable=render, console=screen, transient=True) as live:

        def update(progress: Progress) -> None:
            table.update(progress)
            # The round's line is printed next; the table below it must be up to date.
            live.refresh()

        yield update


def _cell(text: str, style: str = "") -> Text:
    """Return one line without control characters and markup, truncated to the column's width."""
    return Text(one_line(text), style, no_wrap=True, overflow="ellipsis")


def _metric_names(results: Iterable[Round]) -> list[str]:
    names = dict.fromkeys(n for r in results for metrics in r.sites.values() for n in metrics)
    return [name for name in names if name != "num_examples"][:MAX_METRICS]


def _metric_cells(site: str, result: Round | None, names: list[str]) -> list[Text]:
    """Return the cells with a site's metrics and with the round that they are from."""
    if result is None:
        return [_cell("-")] * (1 + len(names))
    metrics = result.sites[site]
    withheld = "unusable" if site in result.unusable else "withheld"
    source = f"round {result.number}" if metrics.keys() - {"num_examples"} else withheld
    return [_cell(source), *(_cell(number(metrics.get(name))) for name in names)]
