"""What makes a VLM endpoint a peer that devices find."""
