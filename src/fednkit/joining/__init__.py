"""The code that runs at a site beside the archive: it joins the federation, and checks data.

Each invitation and the image get a copy of this package as `joining/`, with `join.py` beside it.
So these modules import the standard library, and what FEDn's environment brings: yaml, requests,
psutil and cryptography. They work under both names, `joining` and `fednkit.joining`, and importing
this package imports nothing. `JOIN.md` and `compose.yaml` are texts that an invitation gets.
"""

__all__ = ["signature"]
