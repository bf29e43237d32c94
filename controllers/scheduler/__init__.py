"""The scheduler: finds a node for every pod that has none.

`cycle` places one pod (pure), `queue` holds those that wait, `snapshot` is the cluster as arrays, `plugins` are the
rules, `scheduler` runs it all against the API server.
"""
