"""A discrete-event simulation of a board, a link and a cloud, fed from a recorded trace."""
