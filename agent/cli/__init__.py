"""The command `inarvl`."""
