"""The taint eviction controller: pods leave nodes whose NoExecute taints they do not tolerate, or not for long."""
