"""From a question to its answer: the workers, the calls to model servers, and what is learned."""
