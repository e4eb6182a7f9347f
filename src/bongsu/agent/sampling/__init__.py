"""From collectors to frames: when to sample, running collectors with a time limit, and building frames."""
