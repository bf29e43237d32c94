"""CEL, the expression language of policies, match conditions, device selectors and validation rules.

Parsing, checking and running are those of Google's own implementation (the package `cel-expr-python`), so messages are
the ones users know; this package adds Kubernetes' libraries and types and hides the rest. Imported on first use only.
"""
