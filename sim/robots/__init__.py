"""Robots that are not simulated here: recordings today, hardware on the same protocol."""
