"""``bongsu watch``: what one server does, live in a terminal or line by line, from the live stream of an API server."""
