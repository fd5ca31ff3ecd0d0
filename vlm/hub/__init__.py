"""Pretrained checkpoints: which ones fit a board, how they are downloaded, and whether they see."""
