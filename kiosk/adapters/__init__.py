"""Adapters: one file per outside system, each blind to the others."""
