"""`inarvl profile new`: measures a machine and writes its hardware profile."""
