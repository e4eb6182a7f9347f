"""Samples, series, buckets, units, clock and errors. Standard library only, no I/O."""
