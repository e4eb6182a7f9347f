"""Alerts in the server: reads samples from the database, stores alerts, and delivers notifications."""
