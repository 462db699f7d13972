"""Exact search over many keyframes: by meaning, time, place and session, in any combination."""
