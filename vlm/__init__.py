"""A vision-language model behind an HTTP endpoint: the server, the runtime and the client."""
