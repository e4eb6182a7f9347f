"""What make needs."""
