"""Admission that users define: policies in CEL, and webhooks."""
