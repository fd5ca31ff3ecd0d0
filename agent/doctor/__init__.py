"""`inarvl doctor`: checks of the machine and its network, each with a remedy."""
