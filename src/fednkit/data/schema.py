"""Draft the data contract from your own file: fednkit schema --source FILE."""

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
        source: Draft the schema from this file.
        label: Column to predict (tables only).
        out: Write the schema to this file, overwriting it (default: print it).
    """

    source: Path
    label: str | None = None
    out: Path | None = None


def run(options: Options) -> None:
    """Print or write the draft, and a hint on what to review."""
    schema = kind().draft(options.source, options.label)
    text = layout(schema)
    if options.out is None:
        print(text, end="")
    else:
        write_atomically(options.out, text.encode())
        print(f"{shown(options.out.resolve())}: {len(schema['fields'])} fields")
    print(
        "this is a draft: its limits are those of this file, widened; every site must satisfy them",
        file=sys.stderr,
    )


def layout(schema: dict[str, Any]) -> str:
    """Return a schema as JSON with one field per line, so that it is easy to edit by hand."""
    fields = [f"    {json.dumps(field, ensure_ascii=False)}" for field in schema["fields"]]
    label = json.dumps(schema["label"], ensure_ascii=False)
    head, tail = '{\n  "fields": [\n', f'\n  ],\n  "label": {label}\n'
    return head + ",\n".join(fields) + tail + "}\n"
