"""Statements on the tables of alerts, by subject."""
