"""The report: all policies, drifts, regimes and ablations on one trace, as one page and as CSV."""
