"""Try many cases of every kind, print a table, and exit with 1 if any was a crash."""

import argparse
import sys

from fuzz.kinds import KINDS
from fuzz.running import Outcome, all_tried

HEAD = ("kind", "cases", "refused", "accepted", "crashes", "peak, MB", "bound, MB", "minutes")


def row(name: str, outcome: Outcome) -> str:
    """Return a line of the table, in Markdown."""
    counts = [f"{outcome.get(key, 0):,}" for key in ("cases", "refused", "accepted", "crashes")]
    minutes = f"{outcome.get('seconds', 0) / 60:.1f}"
    cells = [name, *counts, f"{outcome['peak']:.1f}", str(KINDS[name].megabytes), minutes]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser("python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="in all (default 100,000)")
    parser.add_argument("--seed", type=int, default=0, help="equal seeds try equal cases")
    parser.add_argument("--only", choices=KINDS, action="append", help="of this kind alone")
    parser.add_argument("--processes", type=int, default=2, help="at once (default 2)")
    options = parser.parse_args()
    names = options.only or list(KINDS)
    shares = sum(KINDS[name].share for name in names)
    counts = {name: -(-options.cases * KINDS[name].share // shares) for name in names}
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)
    outcomes: dict[str, Outcome] = {}
    for name, outcome in all_tried(counts, options.seed, options.processes):
        outcomes[name] = outcome
        print(row(name, outcome), flush=True)
    total = sum(outcome["cases"] for outcome in outcomes.values())
    crashes = [one for outcome in outcomes.values() for one in outcome["found"]]
    print(f"\n{total:,} cases, {sum(o.get('crashes', 0) for o in outcomes.values()):,} crashes")
    for crash in crashes[:200]:
        print(f"{crash['case']}: {crash['what']}")
    sys.exit(1 if crashes else 0)


if __name__ == "__main__":
    main()
