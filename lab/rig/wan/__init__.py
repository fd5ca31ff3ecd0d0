"""A long way to the cloud, emulated in this process, for the demo, the tests and the bench."""
