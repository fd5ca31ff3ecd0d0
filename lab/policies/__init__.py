"""The policies that are compared: the controller, its rivals, and an oracle that knows all answers."""
