"""What stands between the network and the endpoints: addresses, headers, rates, TLS."""
