"""Floor plan: free space, rooms, and the places in them."""
