"""Things: their tracks, what is evidence of them, how they change, and how they are related."""
