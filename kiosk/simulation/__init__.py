"""The autoscaler against made-up or recorded arrivals: waits, GPU hours and dollars, without a cluster."""
