"""Everything under /api/alerts."""
