"""``bongsu import``: brings history into Bongsu, as a client of its remote write endpoint."""
