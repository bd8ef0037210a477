"""The resident worker, which saves each step the start-up time of the framework.

FEDn 0.33 starts a new Python process for every `train` and every `validate`. Its client runs the
package's `startup` command, `python -m fednsite.worker`, which starts a background process with the
framework, the model and the site's data. The entry points hand their steps over to it.
"""

__all__ = ["handover", "resident"]
