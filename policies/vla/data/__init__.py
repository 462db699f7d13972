"""What a policy is trained on: demonstrations from logs and datasets, decoded once, and batches drawn from them."""
