"""The controller of DaemonSets: `controller.py` is the flow, `nodes.py`, `pods.py`, `plan.py` are pure."""
