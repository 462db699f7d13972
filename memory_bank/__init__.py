"""Scene graph, episodic memory, stores, recall, and the memory process."""
