"""The messages that the agent exchanges over MQTT: topics, queries, replies, images, and the connection."""
