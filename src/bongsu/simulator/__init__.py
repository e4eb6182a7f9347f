"""The fleet simulator: servers that exist only on the wire. They enrol and send as agents do."""
