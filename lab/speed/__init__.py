"""Measures what inarvl itself costs, each figure beside a yardstick of the same run."""
