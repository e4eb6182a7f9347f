"""From frames to the API server: sending, retrying, and buffering what could not be sent."""
