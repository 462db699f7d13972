"""A mind palace: which past visit to recall, where to look, and when to stop, by the value of information."""
