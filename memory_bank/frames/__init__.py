"""Several map frames in one memory, and how they become one."""
