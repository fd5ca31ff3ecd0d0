"""The report: every policy, drift, regime and ablation on one trace, as one page and as CSV."""
