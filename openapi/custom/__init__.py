"""Custom resources: their structural schemas compiled, and objects decoded, defaulted and validated by them."""
