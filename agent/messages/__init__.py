"""Messages over MQTT: topics, queries, replies, images, and the connection to the broker."""
