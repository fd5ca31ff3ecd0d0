"""The lab: what shows and evaluates inarvl, never installed on a board."""
