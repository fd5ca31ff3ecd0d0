"""`inarvl up`: a broker, a model server and the agent as child processes, without systemd."""
