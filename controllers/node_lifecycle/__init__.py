"""The node lifecycle controller: notices nodes that fall silent, and says so in conditions, taints and pods."""
