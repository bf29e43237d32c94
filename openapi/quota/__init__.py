"""What objects cost in the resources that quotas limit: read by the admission of requests and by the recount."""
