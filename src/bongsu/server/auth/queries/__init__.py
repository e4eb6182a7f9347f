"""Statements on the tables of accounts, agents and the audit log."""
