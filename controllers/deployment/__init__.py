"""The controller of Deployments: `controller.py` is the flow, the other modules are pure."""
