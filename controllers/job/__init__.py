"""The controller of Jobs: `controller.py` is the flow, the other modules are pure."""
