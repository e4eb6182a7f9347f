"""The monitored servers: what is stored of each, what is known in memory, and how a query selects them."""
