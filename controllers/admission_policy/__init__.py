"""What the status of admission policies says about their expressions."""
