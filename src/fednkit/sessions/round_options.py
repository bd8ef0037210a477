"""What is asked of rounds on a network, by `network` and by `session start`."""

import argparse

from ..aggregation import server_functions
from ..project.errors import ProjectError

__all__ = ["add_round_options", "check_round_options"]


def add_round_options(parser: argparse.ArgumentParser) -> None:
    """Declare how many rounds there are, and how FEDn makes one model of the sites' updates."""
    add = parser.add_argument
    add("--rounds", type=int, default=3, metavar="N", help="how many rounds (default 3)")
    add(
        "--aggregator",
        choices=server_functions.AGGREGATORS,
        default="fedavg",
        help="how the sites' updates are combined (default fedavg)",
    )
    server_functions.add_options(parser)
    add(
        "--server-optimizer",
        choices=("adam", "yogi", "adagrad"),
        default="adam",
        help="for fedopt: how it steps from one global model to the next (default adam)",
    )
    add("--server-learning-rate", type=float, default=0.01, help="for fedopt (default 0.01)")
    add(
        "--round-timeout",
        type=float,
        default=180,
        metavar="SECONDS",
        help="end a round then, with the updates that came (default 180)",
    )


def check_round_options(options: argparse.Namespace, sites: int | None = None) -> None:
    """Raise `ProjectError` for the first option that makes no sense.

    sites: how many can take part, where that is known.
    """
    server_functions.check(options, sites)
    if options.rounds < 1:
        raise ProjectError(f"--rounds: expected 1 or more, found {options.rounds}")
    if not options.server_learning_rate > 0:
        raise ProjectError("--server-learning-rate: expected a number above 0")
    if not options.round_timeout > 0:
        raise ProjectError(f"--round-timeout: expected seconds, found {options.round_timeout:g}")
