"""An agent's own memory: tokens of its policy, and experiences of its tasks."""
