"""A discrete-event simulation of a board, a link and a cloud, driven by a recorded trace."""
