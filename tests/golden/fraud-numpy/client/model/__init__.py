"""The model library: model, data, metrics and settings. It does not depend on FEDn."""
