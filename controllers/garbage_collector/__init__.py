"""The garbage collector: what has lost its owners goes, in the way that the owners' deletion asked for."""
