"""How the updates of a round become the next global model.

`updates`, `robust` and `combination` are also sent to FEDn's server functions as text, so they
import NumPy and the standard library alone.
"""

__all__ = ["combination", "fedn_aggregators", "robust", "server_functions", "updates"]
