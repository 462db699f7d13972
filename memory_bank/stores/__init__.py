"""Where a memory lies when no process holds it."""
