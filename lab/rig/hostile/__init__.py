"""A scripted HTTP server that answers as a hostile or faulty peer might."""
