"""The dashboard and the API's own documentation, served from the package."""

from fastapi import FastAPI


def install(app: FastAPI) -> None:
    """later"""
