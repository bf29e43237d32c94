"""Field ownership, the whole of it: what the API server calls. See `tracking` for updates and `apply` for appliers."""

from openapi.schema.tracking import (
    manager_from_user_agent,
    restore_times,
    track_update,
    validate_manager,
)

__all__ = ["manager_from_user_agent", "restore_times", "track_update", "validate_manager"]
