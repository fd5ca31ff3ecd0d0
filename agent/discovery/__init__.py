"""Ways of finding peers; each names what it finds to one registry."""
