"""Sample data: card transactions by simulated customers at simulated terminals.

A simplification of the simulator in Le Borgne et al., "Reproducible Machine Learning for Credit
Card Fraud Detection: Practical Handbook", 2022, chapter 3, with its three fraud scenarios.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["EXAMPLES", "FILE_NAME", "make"]

FILE_NAME = "transactions.csv"
EXAMPLES = 40_000

REGIONS = np.array(["north", "east", "south", "west"])
# The first days only build up the histories of customers and terminals; they are not returned.
WARM_UP_DAYS, DAYS = 14, 60
PAYMENTS_PER_DAY = 1.75
# Episodes per 10,000 payments: well under one per cent of all payments are fraud.
STOLEN_CARDS, SKIMMED_TERMINALS = 3.0, 1.5

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def make(examples: int | None, seed: int) -> pl.DataFrame:
    """Return simulated card payments in order of time, with the columns of the fraud schema.

    Args:
        examples: The number of rows; None means `EXAMPLES`.
        seed: Equal seeds give equal rows.
    """
    examples = examples or EXAMPLES
    random = np.random.default_rng(seed)
    customers = max(40, round(examples / (PAYMENTS_PER_DAY * (DAYS - WARM_UP_DAYS))))
    terminals = max(len(REGIONS), customers // 2)

    # A tenth more than needed on average; surplus rows are cut off at the end.
    count = round(1.1 * examples * DAYS / (DAYS - WARM_UP_DAYS)) + 100
    day = random.integers(0, DAYS, count)
    hour = np.clip(random.normal(14, 5, count), 0, 23.99)
    time = day + hour / 24
    order = np.argsort(time, kind="stable")
    day, hour, time = day[order], hour[order], time[order]

    activity = random.uniform(0.3, 1.7, customers)
    customer = random.choice(customers, count, p=activity / activity.sum())
    typical_amount = random.uniform(5, 100, customers)[customer]
    amount = np.maximum(random.normal(typical_amount, typical_amount / 2), 0.5)
    # A terminal's number modulo the number of regions is its region. Customers pay in their own.
    region = random.integers(0, len(REGIONS), customers)[customer]
    terminal = region + len(REGIONS) * random.integers(0, terminals // len(REGIONS), count)

    fraud = amount > 220
    for _ in range(round(STOLEN_CARDS * count / 10_000)):
        start, victim = random.uniform(0, DAYS), random.integers(0, customers)
        hit = (customer == victim) & (time >= start) & (time < start + 14)
        hit &= random.random(count) < 1 / 3
        amount[hit] *= 5
        fraud |= hit
    for _ in range(round(SKIMMED_TERMINALS * count / 10_000)):
        start, victim = random.uniform(0, DAYS), random.integers(0, terminals)
        hit = (terminal == victim) & (time >= start) & (time < start + 28)
        fraud |= hit & (random.random(count) < 1 / 3)

    customer_count, customer_sum = _trailing(customer, time, amount, 7, 0)
    terminal_count, _ = _trailing(terminal, time, amount, 7, 0)
    # Fraud is discovered a week later, when the customer complains.
    known_count, known_fraud = _trailing(terminal, time, fraud.astype(np.float64), 14, 7)
    table = pl.DataFrame(
        {
            "amount": amount.round(2),
            "hour": hour.round(2),
            "weekend": day % 7 >= 5,
            "customer_count_7d": customer_count,
            "customer_mean_7d": (customer_sum / np.maximum(customer_count, 1)).round(2),
            "terminal_count_7d": terminal_count,
            "terminal_risk_7d": (known_fraud / np.maximum(known_count, 1)).round(4),
            "region": REGIONS[region],
            "fraud": fraud.astype(np.int64),
        }
    )
    return table.filter(pl.Series(day >= WARM_UP_DAYS)).head(examples)


def _trailing(
    group: Rows, time: Array, value: Array, since: float, until: float
) -> tuple[Rows, Array]:
    """Return the count and sum of `value` over earlier rows of each row's group.

    Args:
        group: Shape (rows,), each row's group.
        time: Shape (rows,), in days.
        value: Shape (rows,).
        since: The start of the window, in days before the row.
        until: The end of the window, in days before the row, which is never included itself.
    """
    span = DAYS + 2 * since
    key = group * span + time
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    total = np.append(0.0, np.cumsum(value[order]))
    first = np.searchsorted(ordered, key - since)
    last = np.searchsorted(ordered, key - until)
    return last - first, total[last] - total[first]
