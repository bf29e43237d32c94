"""What every namespace and service account gets: a default account, the root certificate, tokens in Secrets."""
