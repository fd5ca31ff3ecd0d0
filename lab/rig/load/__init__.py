"""Load on a whole running site: more questions than can be answered, or as many for hours."""
