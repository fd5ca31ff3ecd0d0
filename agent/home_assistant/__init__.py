"""Announces the agent to Home Assistant by MQTT discovery."""
