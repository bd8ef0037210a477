"""Sample data: card transactions by simulated customers at simulated terminals.

A simplification of the simulator in Le Borgne et al., "Reproducible Machine Learning for Credit
Card Fraud Detection: Practical Handbook", 2022, chapter 3, with its three fraud scenarios.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .package import imported_package
from .project import CLIENT, ProjectError, shown

FILE_NAME = "transactions.csv"
EXAMPLES = 40_000

# Of a table of one's own: a few kilobytes of Parquet can hold what fills any memory.
MOST_CELLS, MOST_COLUMNS, LONGEST_HEADER = 1_000_000_000, 10_000, 1 << 20

REGIONS = np.array(["north", "east", "south", "west"])
# The first days only fill the customers' and terminals' histories; they are not handed out.
WARM_UP_DAYS, DAYS = 14, 60
PAYMENTS_A_DAY = 1.75
# Episodes per 10,000 payments, so that well under one per cent of all payments are fraud.
STOLEN_CARDS, SKIMMED_TERMINALS = 3.0, 1.5

Sample = pl.DataFrame
Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def make(examples: int | None, seed: int) -> pl.DataFrame:
    """Simulate card payments, in order of time.

    examples: how many rows. seed: equal seeds give equal rows.
    Returns one row per payment with the columns of the fraud task's schema.json.
    """
    examples = examples or EXAMPLES
    random = np.random.default_rng(seed)
    customers = max(40, round(examples / (PAYMENTS_A_DAY * (DAYS - WARM_UP_DAYS))))
    terminals = max(len(REGIONS), customers // 2)

    # A tenth more than needed on average; what is too much is cut off at the end.
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
    # Terminals are numbered round the regions; customers pay in their own region.
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
    # Fraud becomes known when the customer complains, a week later.
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


def read(path: Path) -> pl.DataFrame:
    """Read a table of one's own, CSV or Parquet. Raises `ProjectError`."""
    table = read_table(path)
    if _label() not in table.columns:
        schema = shown(CLIENT / "model" / "schema.json")
        raise ProjectError(f"{path}: expected the label column '{_label()}' of {schema}")
    return table


def read_table(path: Path) -> pl.DataFrame:
    """Read any table that has rows, the cells of a CSV as the text that they are.

    The package reads files for itself, in model/data.py: it ships, and these tools do not.
    """
    readers: dict[str, Callable[[Path], pl.LazyFrame]] = {
        ".csv": lambda file: pl.scan_csv(file, infer_schema=False, glob=False),
        ".parquet": lambda file: pl.scan_parquet(file, glob=False),
    }
    with imported_package():
        from model.files import quietly

    if not path.is_file() or path.suffix not in readers:
        raise ProjectError(f"{path}: expected a .csv or .parquet file, found none")
    try:
        with path.open("rb") as file:
            if len(file.readline(LONGEST_HEADER)) == LONGEST_HEADER and path.suffix == ".csv":
                raise ProjectError(f"{path}: expected a header of up to {LONGEST_HEADER:,} bytes")
        with quietly():
            scanned = readers[path.suffix](path)
            columns = len(scanned.collect_schema())
            if columns > MOST_COLUMNS:
                raise ProjectError(
                    f"{path}: expected up to {MOST_COLUMNS:,} columns, found {columns:,}"
                )
            rows = scanned.select(pl.len()).collect().item()
            if rows * columns > MOST_CELLS:
                raise ProjectError(
                    f"{path}: expected up to {MOST_CELLS:,} cells, found {rows:,} rows"
                )
            table = scanned.collect()
    # Polars panics, in its words, at bytes that it had not thought of.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        cause = next(iter(str(error).splitlines()), "nothing that can be read")
        raise ProjectError(f"{path}: expected a table, found: {cause}") from None
    if table.height == 0:
        raise ProjectError(f"{path}: expected rows, found none below the header")
    return table


def labels(table: pl.DataFrame) -> Rows:
    """Return the class of each row, int64, shape (rows,), numbered in order of their values."""
    _, classes = np.unique(table[_label()].cast(pl.String).to_numpy(), return_inverse=True)
    return np.asarray(classes, dtype=np.int64)


def column(table: pl.DataFrame, name: str) -> npt.NDArray[Any]:
    """Return one column, shape (rows,). Raises `ProjectError` when there is none of that name."""
    if name not in table.columns:
        raise ProjectError(f"--column: expected one of {', '.join(table.columns)}, found '{name}'")
    values = table[name]
    numbers = values.cast(pl.Float64, strict=False)
    # So that 2 comes before 10.
    return (values if numbers.null_count() else numbers).to_numpy()


def write(table: pl.DataFrame, rows: Rows, path: Path) -> None:
    """Write some rows as one site's file."""
    table[rows.tolist()].write_csv(path)


def _label() -> str:
    schema = json.loads((CLIENT / "model" / "schema.json").read_text(encoding="utf-8"))
    return str(schema["label"])


def _trailing(
    group: Rows, time: Array, value: Array, since: float, until: float
) -> tuple[Rows, Array]:
    """Count and sum `value` over the same group's rows from `since` to `until` days before.

    All arrays have shape (rows,). The row itself never counts.
    """
    span = DAYS + 2 * since
    key = group * span + time
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    total = np.append(0.0, np.cumsum(value[order]))
    first = np.searchsorted(ordered, key - since)
    last = np.searchsorted(ordered, key - until)
    return last - first, total[last] - total[first]
