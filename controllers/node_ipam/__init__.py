"""The node IPAM controller: every node gets a range of addresses for its pods."""
