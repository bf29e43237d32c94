"""The device taint eviction controller: pods leave devices whose NoExecute taints their claims do not tolerate."""
