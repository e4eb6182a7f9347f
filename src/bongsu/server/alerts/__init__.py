"""Alerts on the server's side: samples from the database, alerts into it, notifications out of it."""
