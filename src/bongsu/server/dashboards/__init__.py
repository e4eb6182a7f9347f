"""Dashboards: documents of widgets that people compose, save and share."""
