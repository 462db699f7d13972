"""Navigation on the occupancy map that the memory built: where to go, what is left to see, how to drive there."""
