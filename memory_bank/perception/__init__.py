"""From an observation to detections: one small file per detector, all behind ``Perception``."""
