"""The model servers that are known: how they are found, checked and reached."""
