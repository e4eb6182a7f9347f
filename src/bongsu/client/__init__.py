"""Reads from Bongsu in Python: ``from bongsu.client import Client``. See docs/client.md."""

from bongsu.client.answers import History, Series
from bongsu.client.asynchronous import AsyncClient
from bongsu.client.errors import ApiError, ClientError, NotReachable
from bongsu.client.synchronous import Client

__all__ = ["ApiError", "AsyncClient", "Client", "ClientError", "History", "NotReachable", "Series"]
