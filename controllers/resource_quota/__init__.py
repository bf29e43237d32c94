"""The recount of quotas: what is deleted or has ended is free again."""
