"""The database by URL: engines, tables, migrations, backups, and the leases that workers share work by."""
