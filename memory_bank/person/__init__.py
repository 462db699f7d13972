"""What a person may do to a memory: correct it, and make it forget."""
