"""The end of namespaces: everything in them goes first, pods before the rest."""
