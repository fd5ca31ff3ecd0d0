"""The command `inarvl`: `main.py` lists its commands; each has its own file."""
