"""The controller of CronJobs: `controller.py` is the flow, `schedule.py` and `plan.py` are pure."""
