"""Bongsu watches servers: agents sample, one API server stores, streams and alerts, a dashboard shows it live."""

__version__ = "0.1.0"
