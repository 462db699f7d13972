"""Boxes, voxels and what is computed of them."""
