"""The whole product on one machine: broker, models, cloud peer, agent and a camera, with a live table."""
