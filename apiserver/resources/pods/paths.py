"""Paths inside volumes, and file modes.

Follows: pkg/apis/core/validation/validation.go validateLocalDescendingPath, ValidateLocalNonReservedPath
"""

from __future__ import annotations

from apiserver.resources.pods.options import Errors
from openapi.meta.field import invalid

_MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"


def has_backsteps(path: str) -> bool:
    return ".." in path and ".." in path.split("/")


def check_no_backsteps(value: str, path: str, errors: Errors) -> None:
    if has_backsteps(value):
        errors.append(invalid(path, value, "must not contain '..'"))


def check_descending_path(value: str, path: str, errors: Errors) -> None:
    """A relative path that never leaves its root."""
    if value.startswith("/"):
        errors.append(invalid(path, value, "must be a relative path"))
    check_no_backsteps(value, path, errors)


def check_local_path(value: str, path: str, errors: Errors) -> None:
    """A descending path whose first name does not start with two dots."""
    check_descending_path(value, path, errors)
    if value.startswith("..") and not value.startswith("../"):
        errors.append(invalid(path, value, "must not start with '..'"))


def check_mode(mode: int | None, path: str, errors: Errors) -> None:
    if mode is not None and not 0 <= mode <= 0o777:
        errors.append(invalid(path, mode, _MODE_TEXT))
