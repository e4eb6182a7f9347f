"""Who may do what: people, API tokens, agents."""
