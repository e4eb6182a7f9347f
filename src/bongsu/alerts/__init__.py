"""Rules, their evaluation, and the way of a notification. Knows nothing of HTTP servers or databases."""
