"""Answers history queries: which series, at which resolution, from which rows, and down to how many points."""

from bongsu.server.history.query import Cursor, Grouping, History, HistoryQuery, Missing, Resolution, SeriesHistory
from bongsu.server.history.reader import HistoryReader

__all__ = [
    "Cursor",
    "Grouping",
    "History",
    "HistoryQuery",
    "HistoryReader",
    "Missing",
    "Resolution",
    "SeriesHistory",
]
