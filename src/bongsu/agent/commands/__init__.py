"""``bongsu agent COMMAND``: one module a command. ``bongsu.agent.main`` parses the command line and calls them."""
