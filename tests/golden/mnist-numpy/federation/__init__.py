"""The initiator's tools. Nothing here is shipped: python -m federation --help."""
