"""Combine the updates of a round into the next global model.

`updates`, `robust` and `combination` are also sent to FEDn's server functions as text, so they
import only NumPy and the standard library.
"""

__all__ = ["combination", "fedn_aggregators", "robust", "server_functions", "updates"]
