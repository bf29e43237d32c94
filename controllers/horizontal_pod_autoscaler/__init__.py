"""The horizontal pod autoscaler: as many replicas as metrics call for, not faster than their behavior allows."""
