"""What happens, as it happens: from the commit of a frame to the browsers that watch its server."""
