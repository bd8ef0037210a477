"""The resident worker, so that not every step pays for the framework's start.

FEDn 0.33 starts a new Python for every `train` and every `validate`. Its client runs the package's
`startup` command, `python -m fednsite.worker`, which leaves a process behind that holds the
framework, the model and the site's data. The entry points hand their steps over to it.
"""

__all__ = ["handover", "resident"]
