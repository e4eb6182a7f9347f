"""The agent: samples this machine and pushes what it saw to the API server."""
