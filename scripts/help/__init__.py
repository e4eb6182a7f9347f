"""Builds the help pages of Bongsu from docs/: ``python -m scripts.help INTO``."""
