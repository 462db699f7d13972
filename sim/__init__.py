"""Houses, simulators behind one protocol, tasks with ground truth, and the bridge process."""
