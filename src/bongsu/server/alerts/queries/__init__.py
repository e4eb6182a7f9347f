"""Statements on the tables of alerts."""
