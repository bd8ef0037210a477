"""Print a page of the guide: fednkit docs, fednkit docs privacy."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, get_args

__all__ = ["TOPICS", "Options", "page", "run", "title"]

# Each is a page TOPIC.md beside this module, in the order in which a project needs them.
Topic = Literal[
    "simulate", "network", "privacy", "robust", "live", "server", "signing", "update", "extend"
]
TOPICS: tuple[Topic, ...] = get_args(Topic)


@dataclass(frozen=True)
class Options:
    """Options of `fednkit docs`.

    Attributes:
        topic: The page to print (default: list the pages).
    """

    topic: Topic | None = None


def run(options: Options) -> None:
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
