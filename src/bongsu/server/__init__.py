"""The API server: takes frames in, stores, rolls up, streams and alerts, and serves the dashboard."""
