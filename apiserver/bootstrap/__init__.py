"""The objects every cluster begins with: tables of facts, and what writes them and keeps them up to date."""

from apiserver.bootstrap.cluster import ClusterFacts, api_service
from apiserver.bootstrap.ensure import Writer, bootstrap_objects, ensure, renew_identity

__all__ = ["ClusterFacts", "Writer", "api_service", "bootstrap_objects", "ensure", "renew_identity"]
