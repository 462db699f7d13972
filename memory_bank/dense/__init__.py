"""Dense geometry with open3d: depth images fused into a mesh, rays cast at it, a picture of it. Optional."""
