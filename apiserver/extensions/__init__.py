"""What extends the API at run time: definitions of custom resources."""
