"""Print a page of the guide: fednkit docs, fednkit docs privacy."""

import argparse
from importlib.resources import files

__all__ = ["TOPICS", "add_options", "page", "run", "title"]

# Each is a page TOPIC.md beside this module, in the order in which a project needs them.
TOPICS = (
    *("simulate", "network", "privacy", "robust", "live", "server", "signing", "update"),
    "extend",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fednkit docs`."""
    parser.add_argument(
        "topic", nargs="?", choices=TOPICS, help="the page to print (default: list the pages)"
    )


def run(options: argparse.Namespace) -> None:
    """Print the page, or the list of pages."""
    if options.topic:
        print(page(options.topic), end="")
        return
    width = max(map(len, TOPICS))
    for topic in TOPICS:
        print(f"{topic:<{width}}  {title(topic)}")
    print("\nprint one of them: fednkit docs TOPIC")


def page(topic: str) -> str:
    """Return the text of a page, in Markdown."""
    return (files(__package__) / f"{topic}.md").read_text("utf-8")


def title(topic: str) -> str:
    """Return the title of a page: its first line."""
    return page(topic).partition("\n")[0].removeprefix("# ")
