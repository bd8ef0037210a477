"""Draft the data contract from a file of yours: fednkit schema --source FILE."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fednsite.files import write_atomically

from ..project.paths import shown
from .kinds import kind

__all__ = ["Options", "layout", "run"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit schema`.

    Attributes:
        source: The file to draft the schema from.
        label: Of a table: the column to predict.
        out: Write the schema to this file and overwrite it; the default is to print it.
    """

    source: Path
    label: str | None = None
    out: Path | None = None


def run(options: Options) -> None:
    """Print the draft, or write it, and say what is left to do."""
    schema = kind().draft(options.source, options.label)
    text = layout(schema)
    if options.out is None:
        print(text, end="")
    else:
        write_atomically(options.out, text.encode())
        print(f"{shown(options.out.resolve())}: {len(schema['fields'])} fields")
    print(
        "a draft: its limits come from this file alone, widened; every site must keep them",
        file=sys.stderr,
    )


def layout(schema: dict[str, Any]) -> str:
    """Return a schema as JSON with one field to a line, to be read and changed by hand."""
    fields = [f"    {json.dumps(field, ensure_ascii=False)}" for field in schema["fields"]]
    label = json.dumps(schema["label"], ensure_ascii=False)
    head, tail = '{\n  "fields": [\n', f'\n  ],\n  "label": {label}\n'
    return head + ",\n".join(fields) + tail + "}\n"
