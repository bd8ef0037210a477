"""The model library: the model, its data and its settings. It knows nothing of FEDn."""
