"""The endpoints under /api/alerts."""
