"""The agent: samples this machine and sends the samples to the API server."""
