"""Groups of the API that other servers serve: where they are, whether they answer, and requests carried on to them."""
