"""Scrapes exporters and reads textfiles: the metrics of others become series of this machine.

Only an agent that is configured to do so imports this package.
"""
