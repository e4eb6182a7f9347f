"""All queries: functions over a SQLAlchemy connection, called through ``Database.read`` and ``Database.write``."""
