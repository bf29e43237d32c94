"""Field ownership as the API server uses it: `tracking` it through writes, server-side `apply`, and `scale`."""

from openapi.schema.apply import ApplyConflict, ApplyError, apply
from openapi.schema.scale import scale_entries, with_scale_entries
from openapi.schema.tracking import (
    manager_from_user_agent,
    restore_times,
    track_update,
    validate_manager,
)

__all__ = [
    "ApplyConflict",
    "ApplyError",
    "apply",
    "manager_from_user_agent",
    "restore_times",
    "scale_entries",
    "track_update",
    "validate_manager",
    "with_scale_entries",
]
