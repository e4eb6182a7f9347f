"""Containers: numbers from the files of their control groups, names and states from Docker and Podman."""
