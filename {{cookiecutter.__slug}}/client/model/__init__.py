"""The model library: the model, its data, its metrics and its settings. It knows nothing of FEDn."""
