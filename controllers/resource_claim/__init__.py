"""The resource claim controller: claims for pods from templates, reservations, and the end of both."""
