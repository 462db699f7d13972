"""What was seen when: keyframes, kept by the million, and finding among them."""
