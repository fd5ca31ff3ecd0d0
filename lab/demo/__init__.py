"""The whole product on one machine: broker, models, peer, agent and a camera, with a live table."""
