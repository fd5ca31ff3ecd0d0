"""The policies that are compared: the controller, its rivals, and bounds that know the future."""
