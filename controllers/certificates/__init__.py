"""Certificate signing requests: approving kubelets' own, signing what is approved, clearing away what is over."""
