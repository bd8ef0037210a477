"""What a run says about federation, in words and in a table."""

import statistics
from dataclasses import dataclass

from rich.table import Table

from ..project.console import console, number
from .run import Run, lower_is_better

__all__ = ["Verdict", "headline", "judge", "show_summary", "single_class_words"]


@dataclass(frozen=True)
class Verdict:
    """A run's metric on all held-out examples together, for each way to train.

    All are of the last round: picking the best of many by the held-out examples would flatter.
    alone is the median of the clients that were tried, best_alone the best of them. None where
    the baselines were not computed or the metric is not defined.
    """

    metric: str
    seed: float | None
    federated: float | None
    alone: float | None
    best_alone: float | None
    central: float | None

    @property
    def share_of_gap(self) -> float | None:
        """How much federation closes of the gap between training alone and on pooled data."""
        if self.federated is None or self.alone is None or self.central is None:
            return None
        gap = self.central - self.alone
        better = -gap if lower_is_better(self.metric) else gap
        return (self.federated - self.alone) / gap if better > 0 else None

    @property
    def pays(self) -> bool | None:
        """Tell whether the federated model beats what a client in the middle reaches alone."""
        if self.federated is None or self.alone is None:
            return None
        gain = self.federated - self.alone
        return (-gain if lower_is_better(self.metric) else gain) > 0


def judge(run: Run) -> Verdict:
    """Weigh a run's last global model against its baselines."""
    metric = run.metric
    reached = [one["everywhere"].get(metric) for one in run.baselines.get("alone", [])]
    alone = [value for value in reached if value is not None]
    central = run.baselines.get("central", [{}])[-1].get(metric)
    pick = min if lower_is_better(metric) else max
    return Verdict(
        metric,
        run.series(metric)[0],
        run.series(metric)[-1],
        statistics.median(alone) if alone else None,
        pick(alone) if alone else None,
        central,
    )


def headline(run: Run) -> str:
    """Say in a sentence or two whether federation is worth it."""
    verdict = judge(run)
    name = verdict.metric.replace("_", " ")
    reached = f"Federated training reaches {_short(verdict.federated)} {name}"
    if verdict.alone is None or verdict.central is None:
        return f"{reached}, from the seed model's {_short(verdict.seed)}."
    others = (
        f"a site alone {_short(verdict.alone)} (the best of them {_short(verdict.best_alone)}), "
        f"pooled data {_short(verdict.central)}"
    )
    if not verdict.pays:
        return f"Federation does not pay here: {reached[0].lower()}{reached[1:]}; {others}. " + (
            "The last round was still the best, so more rounds may change that."
            if run.best() is run.lines[-1]
            else "What each site has is enough to learn alone, or the sites differ too much."
        )
    share = verdict.share_of_gap
    if share is None:
        return f"{reached}; {others}. Pooling the data would not help a site in the middle."
    if share >= 1:
        return f"{reached}; {others}: federation gives up nothing against pooling."
    return f"{reached}; {others}: federation closes {100 * share:.0f} % of the gap."


def single_class_words(counts: list[list[int]]) -> str:
    """Say how many sites hold a single class, if any do.

    counts: each site's examples of each class.
    """
    single = sum(sum(count > 0 for count in row) == 1 for row in counts)
    if not single:
        return ""
    return (
        f"{single} of {len(counts)} sites hold a single class: "
        "on a network, the package would refuse their data"
    )


def show_summary(run: Run) -> None:
    """Print the final table and the sentence."""
    verdict = judge(run)
    table = Table("trained", verdict.metric.replace("_", " "))
    table.add_row("not at all: the seed model", number(verdict.seed))
    if verdict.alone is not None:
        table.add_row("by a site alone, median", number(verdict.alone))
        table.add_row("by a site alone, best", number(verdict.best_alone))
    table.add_row(f"federated, {run.lines[-1]['round']} rounds", number(verdict.federated))
    best = run.best()
    table.add_row(f"  its best round, {best['round']}", number(best["global"][run.metric]))
    if verdict.central is not None:
        table.add_row("on pooled data", number(verdict.central))
    console.print(table)
    console.print(headline(run), markup=False)


def _short(value: float | None) -> str:
    return "no" if value is None else f"{value:.3f}"
