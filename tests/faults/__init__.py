"""A federation that is broken on purpose, a row of docs/faults.md for each test."""
