"""Where the pods of services are: Endpoints, EndpointSlices, and slices that mirror Endpoints made by hand."""
