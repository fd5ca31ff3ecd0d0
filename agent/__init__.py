"""The daemon on the device: intake, discovery, sensing, spool, main loop and command line."""
