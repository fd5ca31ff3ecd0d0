"""The spool: stores queries and replies on disk, so that none is lost in a crash or power failure."""
