"""The spool: queries and replies on disk, so that a crash or a power cut loses none."""
