"""Scaling policies against arrivals: waits, GPU hours and dollars, without a cluster."""
