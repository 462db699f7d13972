"""What moves the robot: navigation today, learned policies on the same wires tomorrow."""
