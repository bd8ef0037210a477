"""The site's launcher: join the federation and check the site's data.

Every invitation and the site image contain a copy of this package as `joining/`, next to `join.py`.
Its modules therefore import only the standard library, each other, and what FEDn installs: yaml,
requests, psutil and cryptography. They work as `joining` and as `fednkit.joining`. `JOIN.md` is
a Jinja template; an invitation also gets `compose.yaml`.
"""

__all__ = ["signature"]
