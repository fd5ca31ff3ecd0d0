"""The rig: load, faults and emulated networks around a real agent."""
