"""The sources of pictures: one file each."""
