"""Documents about the API itself: discovery, OpenAPI versions 2 and 3, the version. All follow from the catalogue."""

from openapi.documents.custom import custom_definition_name, custom_definitions
from openapi.documents.discovery import storage_version_hash
from openapi.documents.service import Document, Documents, version_info

__all__ = [
    "Document",
    "Documents",
    "custom_definition_name",
    "custom_definitions",
    "storage_version_hash",
    "version_info",
]
