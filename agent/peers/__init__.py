"""The known model servers: finds them, checks them, and estimates the network paths to them."""
