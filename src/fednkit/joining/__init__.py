"""The code that runs at a site beside the archive: it joins the federation, and checks data.

Each invitation and the image get a copy of this package as `joining/`, with `join.py` beside it.
So these modules import the standard library, and what FEDn's environment brings: yaml, requests,
psutil and cryptography. They work under both names, `joining` and `fednkit.joining`, and importing
this package imports nothing. An invitation also gets `compose.yaml`, and `JOIN.md` filled in: that
file is a Jinja template.
"""

__all__ = ["signature"]
