"""Sensors of the board: one file for each sensor, `sensors.py` lists them, `sensing.py` polls them."""
