"""The ephemeral volume controller: pods with volumes of their own get a claim for each."""
