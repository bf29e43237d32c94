"""Behaviour of a cluster seen through its public API only: by kubectl, by the official client, and by raw requests.

Imports nothing of ours. Runs against the cluster of $KUBECONFIG, whose user must be an administrator; without one,
against fresh clusters that it starts with the `wherry` command, one on each store.
"""
