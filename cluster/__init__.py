"""Bring-up: the `wherry` command and what it runs."""

VERSION = "0.1.0"
