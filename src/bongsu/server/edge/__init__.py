"""Between the network and the endpoints: addresses, headers, host names, rates, TLS."""
