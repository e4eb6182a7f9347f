"""The way of a frame from the socket to the disk: POST /api/metrics."""
