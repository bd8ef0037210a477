"""The model library: model, data, metrics and settings. It knows nothing of FEDn."""
