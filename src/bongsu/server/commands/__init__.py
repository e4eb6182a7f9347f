"""The commands that work on a database directly: `bongsu db`, `bongsu user`, `bongsu auth`, `bongsu rules`."""
