"""A local deployment of the whole product, for load tests, fault injection and emulated networks."""
