"""The controller of StatefulSets: `controller.py` is the flow, `identity.py`, `claims.py`, `plan.py` are pure."""
