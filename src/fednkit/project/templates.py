"""Texts that are made from a template: a file of the library in Jinja's language."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render"]


def render(package: str, name: str, **values: Any) -> str:
    """Return a template with its values filled in.

    In an HTML page, values are escaped. A value is never read as a part of the template.

    Args:
        package: The package that the template lies in, such as "fednkit.runs".
        name: The template's file name.
        values: Plain data, under the names that the template uses.

    Raises:
        jinja2.UndefinedError: The template uses a name without a value.
    """
    return _environment(package).get_template(name).render(values)


@lru_cache
def _environment(package: str) -> "Environment":
    # Imported here: it takes up to 0.1 s, and most commands fill in no template.
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader(package, ""),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
